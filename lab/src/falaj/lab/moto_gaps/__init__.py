"""What AWS does and moto does not, added to moto: only what the lab's programs meet.

moto finds the method of an operation by botocore's model, so that an operation is added by a method. What is kept lies
on moto's own objects, which are written down with the rest; it has defaults there, so that older states load. A test
per gap fails when moto closes it itself: then ours goes.
"""

from functools import cache

from falaj.lab.moto_gaps import (
    access_analyzer,
    backup,
    budgets,
    capacity_reservations,
    cloudtrail,
    config,
    dns_firewall,
    ecr,
    efs,
    eks,
    fsx,
    guardduty,
    inspector,
    kms,
    launch_templates,
    macie,
    nat_gateways,
    network_firewall,
    placement_groups,
    rule_descriptions,
    s3,
    s3_object_lock,
    s3_policies,
    securityhub,
    vpc,
)


@cache
def close_gaps() -> None:
    """Extend moto in this process, once; before the applications of its services are made."""
    s3.keep_creation_tags()
    s3_object_lock.keep_locks()
    s3_policies.leave_conditions_out()
    launch_templates.tell_own_tags_apart()
    vpc.change_any_rule()
    rule_descriptions.tell_all()
    nat_gateways.let_addresses_go()
    eks.serve()
    backup.serve()
    budgets.serve()
    ecr.serve()
    efs.serve()
    fsx.serve()
    kms.serve()
    network_firewall.serve()
    placement_groups.serve()
    capacity_reservations.serve()
    dns_firewall.serve()
    access_analyzer.serve()
    cloudtrail.serve()
    config.keep_recording_mode()
    guardduty.serve()
    inspector.tell_accounts_that_are_off()
    macie.serve()
    securityhub.serve()
