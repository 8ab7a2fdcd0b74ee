-- Refuses requests for inference that Triton does not survive, or would answer as a fault of its own, with 400.
-- Those of HTTP are JSON of the KServe protocol, perhaps followed by tensors' bytes:
-- https://github.com/triton-inference-server/server/blob/main/docs/protocol/extension_binary_data.md

local HEADER_LENGTH = "inference-header-content-length"
local CALLS, HTTP = "/inference.GRPCInferenceService/", "/v2/"
local SIGNED = { unsigned = true, signed = true }
local ELEMENTS = {
  BOOL = { boolean = true }, BYTES = { string = true },
  UINT8 = { unsigned = true }, UINT16 = { unsigned = true }, UINT32 = { unsigned = true }, UINT64 = { unsigned = true },
  INT8 = SIGNED, INT16 = SIGNED, INT32 = SIGNED, INT64 = SIGNED,
}
local NUMBERS = { unsigned = true, signed = true, double = true }
for _, each in ipairs({ "FP16", "BF16", "FP32", "FP64" }) do ELEMENTS[each] = NUMBERS end

local TOLD = { string = "a string", boolean = "true or false", unsigned = "a whole number from 0" }

local function must_be(...)
  local kinds, told = {}, {}
  for _, kind in ipairs({ ... }) do
    kinds[kind] = true
    told[#told + 1] = TOLD[kind]
  end
  return function(depth, name)
    local kind = skip_value(depth)
    if not kinds[kind] then refuse(name .. " must be " .. table.concat(told, " or ")) end
    return kind
  end
end

-- Reads an object: members with a rule at most once each, the others by `other`.
local function read_object(depth, what, rules, other)
  if next_sign() ~= OPEN_OBJECT then refuse(what .. " must be an object") end
  local found = {}
  read_members(depth, function(name, below, plain)
    if not plain then refuse("names in " .. what .. " must be without backslashes") end
    local rule = name and rules[name]
    if not rule then return (other or skip_value)(below, name) end
    if found[name] ~= nil then refuse(name .. " must be said once") end
    found[name] = rule(below, name)
  end)
  return found
end

local function list_of(each)
  return function(depth, name)
    if next_sign() ~= OPEN_LIST then refuse(name .. " must be a list") end
    read_items(depth, each)
    return true
  end
end

local function shared_memory()
  refuse("shared memory of the server is not for clients")
end

local function parameters(rules)
  rules.shared_memory_region, rules.shared_memory_offset, rules.shared_memory_byte_size =
    shared_memory, shared_memory, shared_memory
  local scalar = must_be("string", "boolean", "unsigned", "signed", "double")
  return function(depth)
    return read_object(depth, "parameters", rules, function(below) scalar(below, "a parameter") end)
  end
end

local function read_shape(depth, name)
  if next_sign() ~= OPEN_LIST then refuse("shape must be a list") end
  local shape = new_shape()
  read_items(depth, function(below)
    local first = (next_sign() and place)
    if skip_value(below) ~= "unsigned" then refuse("shape must be of whole numbers from 0") end
    add_dimension(shape, tonumber(sub(text, first, place - 1)))
  end)
  return shape
end

local function count_elements(depth, counts)
  if depth > DEEPEST then refuse("must be nested at most " .. DEEPEST .. " deep") end
  place = place + 1
  if next_sign() == CLOSE_LIST then
    place = place + 1
    return counts
  end
  while true do
    local at = next_sign()
    if at == OPEN_LIST then
      count_elements(depth + 1, counts)
    else
      if at == OPEN_OBJECT then refuse("data must hold no objects") end
      local kind = skip_scalar(at)
      counts[kind] = (counts[kind] or 0) + 1
    end
    at = next_sign()
    place = place + 1
    if at == CLOSE_LIST then return counts end
    if at ~= COMMA then malformed() end
  end
end

local function read_data(depth)
  if next_sign() ~= OPEN_LIST then refuse("data must be a list") end
  return count_elements(depth, {})
end

local function read_datatype(depth)
  if next_sign() ~= QUOTE then refuse("datatype must be a string") end
  local first, last, plain = skip_string()
  if not plain then refuse("datatype must be without backslashes") end
  return sub(text, first, math.min(last, first + 16))
end

local input_rules = {
  name = must_be("string"), datatype = read_datatype, shape = read_shape, data = read_data,
  parameters = parameters({ binary_data_size = must_be("unsigned") }),
}

local function read_input(depth)
  local input = read_object(depth, "an input", input_rules)
  for _, name in ipairs({ "name", "datatype", "shape" }) do
    if input[name] == nil then refuse("an input must have name, datatype and shape") end
  end
  local allowed = ELEMENTS[input.datatype]
  if not input.data or not allowed then return end -- Triton says what is wrong with others
  local count = 0
  for kind, found in pairs(input.data) do
    if not allowed[kind] then refuse("data must be of " .. input.datatype .. ", as datatype says") end
    count = count + found
  end
  if count ~= input.shape.elements then refuse("data must have as many elements as shape says") end
end

local output_rules = {
  name = must_be("string"),
  parameters = parameters({ binary_data = must_be("boolean"), classification = must_be("unsigned") }),
}

local function read_output(depth)
  if not read_object(depth, "an output", output_rules).name then refuse("an output must have a name") end
end

local request_rules = {
  id = must_be("string"), inputs = list_of(read_input), outputs = list_of(read_output),
  parameters = parameters({
    priority = must_be("unsigned"), timeout = must_be("unsigned"), sequence_id = must_be("unsigned", "string"),
    sequence_start = must_be("boolean"), sequence_end = must_be("boolean"), binary_data_output = must_be("boolean"),
  }),
}

local function read_request(depth)
  if not read_object(depth, "the request", request_rules).inputs then refuse("the request must have inputs") end
end

local function read_other(depth)
  read_object(depth, "the request", {})
end

-- Returns how long the JSON in front of tensors' bytes is; nil where the body is JSON alone.
local function header_length(headers)
  local told = headers:get(HEADER_LENGTH)
  if not told then return nil end
  if headers:getNumValues(HEADER_LENGTH) > 1 or #told > 9 or not find(told, "^%d+$") then
    refuse("Inference-Header-Content-Length must be one number of bytes")
  end
  return tonumber(told)
end

local function check_http(handle, headers, path)
  local length = header_length(headers) -- headers are out of reach after the wait for the body
  local body = handle:body(true)
  if length == 0 then return end -- all of it is one tensor's bytes
  length = length or body:length()
  if length > body:length() then refuse("Inference-Header-Content-Length must be at most the body's length") end
  read_json(body:getBytes(0, length), find(path, "/infer$") and read_request or read_other)
end

local function check_encoding(headers, name)
  local encoding = headers:get(name)
  if encoding and (encoding ~= "identity" or headers:getNumValues(name) > 1) then
    refuse("the body must not be compressed")
  end
end

local function check(handle)
  local headers = handle:headers()
  local path = headers:get(":path"):match("^[^?]*")
  if sub(path, 1, #CALLS) == CALLS then
    check_encoding(headers, "grpc-encoding")
    if path == CALLS .. "ModelInfer" then check_call(handle) end
    if path == CALLS .. "ModelStreamInfer" then check_stream(handle) end
  elseif sub(path, 1, #HTTP) == HTTP then
    check_encoding(headers, "content-encoding")
    if headers:get(":method") == "POST" then check_http(handle, headers, path) end
  end
end

function envoy_on_request(handle)
  local good, problem = pcall(check, handle)
  if good then return end
  local why = type(problem) == "table" and problem.why
  if not why then
    handle:logErr("the guard of inference: " .. tostring(problem))
    why = "the request cannot be read"
  end
  local kind = handle:headers():get("content-type") or ""
  if find(kind, "^application/grpc") then
    local status = why:find("compressed") and "12" or "3"
    handle:respond({ [":status"] = "200", ["content-type"] = kind, ["grpc-status"] = status, ["grpc-message"] = why,
      ["grpc-accept-encoding"] = "identity" })
  end
  handle:respond({ [":status"] = why:find("compressed") and "415" or "400", ["content-type"] = "application/json" },
    '{"error":"' .. why .. '"}')
end
