"""The other actions of a load balancer: networks, public interface, algorithm, type, reverse DNS, protection."""

from __future__ import annotations

from localcloud import catalog
from localcloud.api import server_networks
from localcloud.api.call import Call
from localcloud.api.catalogue import lookup
from localcloud.api.errors import invalid, refused
from localcloud.api.lb_state import KIND, acted, addresses_of
from localcloud.api.load_balancers import algorithm, host6
from localcloud.api.routes import Answer, Route


def attach(call: Call) -> Answer:
    data, network = call.target(KIND), call.find("network", call.object_id("network"))
    if data["private_net"]:  # one network at most, as on Hetzner
        raise refused("load_balancer_already_attached", "load balancer is already attached to a network")
    data["private_net"].append(server_networks.allocate(call, network, call.body))
    return acted(call, data, "attach_to_network", [("network", network["id"])])


def detach(call: Call) -> Answer:
    data, network = call.target(KIND), call.find("network", call.object_id("network"))
    kept = [nic for nic in data["private_net"] if nic["network"] != network["id"]]
    if len(kept) == len(data["private_net"]):
        text = "load balancer is not attached to this network"
        raise refused("load_balancer_not_attached_to_network", text)
    data["private_net"] = kept
    return acted(call, data, "detach_from_network", [("network", network["id"])])


def enable_public(call: Call) -> Answer:
    data = call.target(KIND)
    data["public_enabled"] = True
    return acted(call, data, "enable_public_interface")


def disable_public(call: Call) -> Answer:
    data = call.target(KIND)
    if not data["private_net"]:
        raise refused("load_balancer_not_attached_to_network", "load balancer is not attached to a network")
    if any(not target.get("use_private_ip") for target in data["targets"]):
        raise refused("targets_without_use_private_ip", "a target is reached by its public address")
    data["public_enabled"] = False
    return acted(call, data, "disable_public_interface")


def change_algorithm(call: Call) -> Answer:
    data = call.target(KIND)
    data["algorithm"] = algorithm(call, call.body)
    return acted(call, data, "change_algorithm")


def change_type(call: Call) -> Answer:
    data = call.target(KIND)
    new = lookup(
        catalog.load_balancer_types(), "load balancer type", "load_balancer_type", call.body.get("load_balancer_type")
    )
    certificates = {i for service in data["services"] for i in (service["http"] or {}).get("certificates", [])}
    needs = {
        "max_services": len(data["services"]),
        "max_targets": len(addresses_of(call, data)),
        "max_assigned_certificates": len(certificates),
    }
    for name, number in needs.items():
        if number > new[name]:
            text = f"{new['name']} allows {name} {new[name]}, the load balancer has {number}"
            raise refused("invalid_load_balancer_type", text)
    data["load_balancer_type"] = new["name"]
    return acted(call, data, "change_load_balancer_type")


def change_dns_ptr(call: Call) -> Answer:
    data, ip, name = call.target(KIND), call.required("ip"), call.text("dns_ptr", required=False)
    if ip not in (data["ipv4"], host6(data["ipv6"])):
        raise invalid("ip", f"{ip!r} is not an address of this load balancer")
    data["ptr"].pop(ip, None)
    if name:
        data["ptr"][ip] = name
    call.save(KIND, data)
    return 201, {"action": call.acted("change_dns_ptr", [(KIND, data["id"])])}


def change_protection(call: Call) -> Answer:
    return 201, call.protect(KIND, call.target(KIND))


ROUTES: list[Route] = [
    ("POST", "/load_balancers/{id}/actions/attach_to_network", attach),
    ("POST", "/load_balancers/{id}/actions/detach_from_network", detach),
    ("POST", "/load_balancers/{id}/actions/enable_public_interface", enable_public),
    ("POST", "/load_balancers/{id}/actions/disable_public_interface", disable_public),
    ("POST", "/load_balancers/{id}/actions/change_algorithm", change_algorithm),
    ("POST", "/load_balancers/{id}/actions/change_type", change_type),
    ("POST", "/load_balancers/{id}/actions/change_dns_ptr", change_dns_ptr),
    ("POST", "/load_balancers/{id}/actions/change_protection", change_protection),
]
