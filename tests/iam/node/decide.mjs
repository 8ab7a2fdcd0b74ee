// Answers questions about IAM with @cloud-copilot/iam-simulate: a line of JSON each way, as falaj.lab.authorizer asks.
import { runSimulation } from '@cloud-copilot/iam-simulate'
import { createInterface } from 'node:readline'

const KINDS = ['identity', 'session', 'permissionBoundary', 'resource', 'endpoint']

for await (const line of createInterface({ input: process.stdin })) {
  const answer = await decide(JSON.parse(renamed(line))).catch((error) => ({ error: String(error) }))
  process.stdout.write(JSON.stringify(answer) + '\n')
}

/**
 * The simulator knows condition keys with a name of the caller's in them only where a slash precedes it, and would drop
 * an encryption context without a word. So each of its keys gets such a name, in the policies and the request alike.
 */
function renamed(line) {
  return line.replaceAll(
    /"kms:EncryptionContext:([^"]+)"/gi,
    (_, key) => `"aws:PrincipalTag/encryption-context.${key.replaceAll(':', '.')}"`
  )
}

async function decide(question) {
  const done = await runSimulation(simulation(question), { simulationMode: 'Strict' })
  if (done.resultType === 'error') return { error: JSON.stringify(done.errors) }
  const results = done.resultType === 'single' ? [done.result] : done.results
  const denied = results.flatMap(({ analysis }) => statements(analysis, 'denyStatements'))
  const allowed = results.flatMap(({ analysis }) => statements(analysis, 'allowStatements'))
  const blocked = results.flatMap(({ analysis }) => analysis.blockedBy ?? [])
  const reasons = {
    Allowed: `allowed by ${allowed}`,
    ExplicitlyDenied: `denied by ${denied}`,
    ImplicitlyDenied: blocked.length ? `not allowed by ${blocked}` : 'allowed by no policy, or not by all that must',
  }
  return {
    allowed: done.overallResult === 'Allowed',
    explicit: done.overallResult === 'ExplicitlyDenied',
    because: reasons[done.overallResult],
    denied_by: denied,
    allowed_by: allowed,
    // Condition keys that this action does not have: a question that relies on one asks nothing.
    ignored: results.flatMap(({ ignoredContextKeys }) => ignoredContextKeys ?? []),
  }
}

function simulation(question) {
  const named = (policies) => (policies ?? []).map((policy, index) => ({ name: `policy-${index}`, policy }))
  return {
    request: {
      principal: question.principal,
      action: question.action,
      resource: { resource: question.resource, accountId: question.account },
      contextVariables: question.context ?? {},
    },
    identityPolicies: named(question.identity_policies),
    permissionBoundaryPolicies: question.permission_boundaries?.length
      ? named(question.permission_boundaries)
      : undefined,
    sessionPolicy: question.session_policy ?? undefined,
    resourcePolicy: question.resource_policy ?? undefined,
    vpcEndpointPolicies: question.endpoint_policies?.length ? named(question.endpoint_policies.map(plain)) : undefined,
    serviceControlPolicies: (question.scps ?? []).map((policies, level) => ({
      orgIdentifier: `level-${level}`,
      policies: named(policies),
    })),
    resourceControlPolicies: [],
  }
}

/** Everyone as principal, in the one form that the simulator takes in an endpoint's policy; IAM takes both alike. */
function plain(policy) {
  const everyone = (statement) => (statement.Principal?.AWS === '*' ? { ...statement, Principal: '*' } : statement)
  return { ...policy, Statement: policy.Statement.map(everyone) }
}

/** The statements of every policy that matched, such as `resource:DenyCopies`. */
function statements(analysis, effect) {
  const parts = KINDS.map((kind) => [kind, analysis[`${kind}Analysis`]])
  const levels = (analysis.scpAnalysis?.ouAnalysis ?? []).map((part) => ['scp', part])
  return [...parts, ...levels].flatMap(([kind, part]) =>
    (part?.[effect] ?? []).map(({ statement }) => `${kind}:${statement.sid() ?? statement.index()}`)
  )
}
