"""EC2: NAT gateways are zonal and say so, and the address of a deleted one is free again, its interface gone.

AWS lets the address go and removes the interface, moto keeps both for ever.
"""

from moto.ec2.models import EC2Backend
from moto.ec2.models.nat_gateways import NatGateway


def let_addresses_go() -> None:
    """Tell each gateway's availability, which moto does not, and let go of address and interface with the gateway."""
    NatGateway.availability_mode = "zonal"  # pyright: ignore[reportAttributeAccessIssue]
    delete = EC2Backend.delete_nat_gateway

    def delete_nat_gateway(self: EC2Backend, nat_gateway_id: str) -> NatGateway:
        gateway = delete(self, nat_gateway_id)
        held = {address.get("allocationId") for address in gateway.address_set}
        for address in self.addresses:
            if address.allocation_id in held and address.association_id:
                self.disassociate_address(association_id=address.association_id)
        self.enis.pop(gateway._eni.id, None)  # pyright: ignore[reportPrivateUsage]  # moto tells it nowhere else
        return gateway

    EC2Backend.delete_nat_gateway = delete_nat_gateway
