// The path that a peer connection's packets take, read from getStats.

// {kind: "host" | "srflx" | "prflx" | "relay", protocol: "udp" | "tcp" | "tls",
//  side: "near" | "far", roundTripMs}, or null while no pair is selected. A path is a relay's if
// either end is relayed; the protocol to the relay is known of our own end only.
export async function selectedPath(connection) {
  const report = await connection.getStats();
  const pair = selectedPair(report);
  const local = pair && report.get(pair.localCandidateId);
  const remote = pair && report.get(pair.remoteCandidateId);
  if (!local || !remote) return null;
  return {
    ...nature(local, remote),
    roundTripMs: pair.currentRoundTripTime === undefined
      ? null
      : Math.round(pair.currentRoundTripTime * 1000),
  };
}

function selectedPair(report) {
  let chosen = null;
  for (const entry of report.values()) {
    if (entry.type === "transport" && entry.selectedCandidatePairId) {
      return report.get(entry.selectedCandidatePairId);
    }
    // Firefox marks the pair itself.
    if (entry.type === "candidate-pair" && entry.selected) chosen = entry;
  }
  return chosen;
}

function nature(local, remote) {
  if (local.candidateType === "relay") {
    return { kind: "relay", protocol: local.relayProtocol ?? "udp", side: "near" };
  }
  if (remote.candidateType === "relay") {
    return { kind: "relay", protocol: local.protocol, side: "far" };
  }
  const reflexive = [local, remote].find((candidate) => candidate.candidateType !== "host");
  return { kind: (reflexive ?? local).candidateType, protocol: local.protocol, side: "near" };
}
