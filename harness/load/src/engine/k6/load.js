// Load for one endpoint. It reads TARGET (host and port), VUS, DURATION_MS, RATE (requests per
// second; none for a closed loop), INPUTS (a file of tokens, users and bodies) and SUMMARY (the file
// that it writes) from the environment.
import http from "k6/http";
import { check } from "k6";
import { SharedArray } from "k6/data";

const base = `http://${__ENV.TARGET}`;
const vus = Number(__ENV.VUS);
const duration = `${__ENV.DURATION_MS}ms`;
const rate = Number(__ENV.RATE || 0);

const closedLoop = { executor: "constant-vus", vus, duration };
const openLoop = {
  executor: "constant-arrival-rate",
  // k6 takes whole numbers only.
  rate: Math.round(rate * 1000),
  timeUnit: "1000s",
  duration,
  preAllocatedVUs: vus,
  maxVUs: vus,
};

export const options = {
  discardResponseBodies: false,
  summaryTrendStats: ["avg", "min", "med", "max", "p(75)", "p(90)", "p(95)", "p(99)", "p(99.9)"],
  scenarios: { load: rate > 0 ? openLoop : closedLoop },
};

const inputs = new SharedArray("inputs", () => JSON.parse(open(__ENV.INPUTS)));

// Virtual users begin with different inputs.
function input() {
  const first = Math.floor(((__VU - 1) * inputs.length) / vus);
  return inputs[(first + __ITER) % inputs.length];
}

// The time between these lines is the measured one.
export function setup() {
  console.log("begin");
}

export function teardown() {
  console.log("end");
}

export function handleSummary(data) {
  return { [__ENV.SUMMARY]: JSON.stringify(data) };
}

// A wrong answer fails one check, which is what is wrong with it.
