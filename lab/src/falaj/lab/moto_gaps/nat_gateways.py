"""EC2: the address of a deleted NAT gateway is free again. AWS lets it go, moto keeps it associated for ever."""

from moto.ec2.models import EC2Backend
from moto.ec2.models.nat_gateways import NatGateway


def let_addresses_go() -> None:
    """Disassociate the address with its gateway."""
    delete = EC2Backend.delete_nat_gateway

    def delete_nat_gateway(self: EC2Backend, nat_gateway_id: str) -> NatGateway:
        gateway = delete(self, nat_gateway_id)
        held = {address.get("allocationId") for address in gateway.address_set}
        for address in self.addresses:
            if address.allocation_id in held and address.association_id:
                self.disassociate_address(association_id=address.association_id)
        return gateway

    EC2Backend.delete_nat_gateway = delete_nat_gateway
