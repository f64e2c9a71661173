// Network namespaces made and removed by a test (root only): hosts, wires between them, NATs.

import { execFile } from "node:child_process";
import { promisify } from "node:util";

const run = promisify(execFile);

// Why there can be none here; null when there can.
export const whyNoNetwork = () => (process.getuid() === 0 ? null : "network namespaces need root");

let networks = 0;

export class Network {
  #number = (networks += 1);
  #hosts = [];

  constructor({ cleanUp }) {
    cleanUp(() => this.#close());
  }

  async host(name, { forwards = false } = {}) {
    await run("ip", ["netns", "add", this.#full(name)]);
    this.#hosts.push(name);
    await this.on(name, "ip", "link", "set", "lo", "up");
    if (forwards) await this.on(name, "sysctl", "-qw", "net.ipv4.ip_forward=1");
  }

  // An Ethernet between two hosts, with an address ("10.0.0.1/24") at each end. On the one it is the
  // device to-OTHER, on the other to-ONE.
  async wire(one, other, oneAddress, otherAddress) {
    await run("ip", ["link", "add", `to-${other}`, "netns", this.#full(one), "type", "veth",
      "peer", "name", `to-${one}`, "netns", this.#full(other)]);
    for (const [host, device, address] of [
      [one, `to-${other}`, oneAddress], [other, `to-${one}`, otherAddress],
    ]) {
      await this.on(host, "ip", "address", "add", address, "dev", device);
      await this.on(host, "ip", "link", "set", device, "up");
    }
  }

  defaultRoute(host, gateway) {
    return this.on(host, "ip", "route", "replace", "default", "via", gateway);
  }

  // What a command begins with to run there.
  prefix(host) {
    return ["ip", "netns", "exec", this.#full(host)];
  }

  on(host, ...command) {
    const [program, ...words] = [...this.prefix(host), ...command];
    return run(program, words);
  }

  #full(host) {
    return `tb${process.pid}-${this.#number}-${host}`;
  }

  // With a namespace its interfaces go.
  async #close() {
    for (const host of this.#hosts) await run("ip", ["netns", "delete", this.#full(host)]);
  }
}
