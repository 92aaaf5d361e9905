// Offers from protobuf to plain data.
import type { InverseOffer, Offer } from "../offer.ts";
import { msFromWire, own, present, v1 } from "./protobuf.ts";
import { resourcesFromWire } from "./resources.ts";

/** A scalar as Mesos prints it: up to three decimals. */
function scalarText(value: number): string {
  return String(Math.round(value * 1000) / 1000);
}

function attributeText(attribute: v1.Attribute.$Properties): string {
  const { SCALAR, RANGES, SET } = v1.Value.Type;
  switch (attribute.type) {
    case SCALAR:
      return scalarText(attribute.scalar?.value ?? 0);
    case RANGES:
      return `[${(attribute.ranges?.range ?? []).map(({ begin, end }) => `${begin}-${end}`).join(", ")}]`;
    case SET:
      return `{${(attribute.set?.item ?? []).join(", ")}}`;
    default:
      return attribute.text?.value ?? "";
  }
}

function unavailabilityFromWire(unavailability: v1.Unavailability.$Properties): InverseOffer["unavailability"] {
  const duration = own(unavailability, "duration");
  return present({ startMs: msFromWire(unavailability.start), durationMs: duration && msFromWire(duration) });
}

/** Of an agent's attributes with the same name the first one counts. */
export function offerFromWire(offer: v1.Offer.$Properties): Offer {
  const address = own(offer, "url")?.address;
  const ip = address && own(address, "ip");
  const domain = own(offer, "domain")?.fault_domain;
  const unavailability = own(offer, "unavailability");
  const attributes = [...(offer.attributes ?? [])]
    .reverse()
    .map((attribute) => [attribute.name, attributeText(attribute)] as const);
  return present({
    id: offer.id.value,
    agentId: offer.agent_id.value,
    hostname: offer.hostname,
    address: address && ip !== undefined ? { ip, port: address.port } : undefined,
    region: domain?.region.name,
    zone: domain?.zone.name,
    attributes: Object.fromEntries(attributes),
    resources: resourcesFromWire(offer.resources),
    unavailability: unavailability && unavailabilityFromWire(unavailability),
  });
}

export function inverseOfferFromWire(offer: v1.InverseOffer.$Properties): InverseOffer {
  return present({
    id: offer.id.value,
    agentId: own(offer, "agent_id")?.value,
    unavailability: unavailabilityFromWire(offer.unavailability),
  });
}
