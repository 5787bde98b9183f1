// Decides the scenarios of a file (format belay.iam-scenario/v1, on standard input) with @cloud-copilot/iam-simulate and
// prints {"results":[{"id":…,"decision":…}|{"id":…,"error":…}]}. That program is an outside counterpart of the policy
// engine's tests: it is installed by scripts/install-iam-simulate.sh and called by its public interface only.
//
//   node scripts/iam-simulate.mjs FOLDER < FILE        FOLDER holds node_modules

import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'

const require = createRequire(join(resolve(process.argv[2]), 'package.json'))
const theirs = await import(pathToFileURL(require.resolve('@cloud-copilot/iam-simulate')))

const policies = (list) => list?.map((p) => ({ name: p.name, policy: p.document }))
const levels = (list) => (list ?? []).map((l) => ({ orgIdentifier: l.level, policies: policies(l.policies) }))

// statements are those of a document, which may have one outside of an array.
const statements = (document) => [document.Statement].flat()

// merged makes one session policy of several, since theirs takes one.
function merged(list) {
  if (!list?.length) return undefined
  return { Version: list[0].document.Version, Statement: list.flatMap((p) => statements(p.document)) }
}

function principal(p) {
  switch (p.type) {
    case 'anonymous':
      return theirs.anonymousPrincipal
    case 'service':
      return p.service
    case 'federated':
      return p.id
  }
  return p.arn
}

function owner(s) {
  const account = (arn) => arn?.split(':')[4]
  return s.request.resource.account || account(s.request.resource.arn) || account(s.request.principal.arn) || ''
}

function simulation(s) {
  return {
    request: {
      principal: principal(s.request.principal),
      action: s.request.action,
      resource: { resource: s.request.resource.arn, accountId: owner(s) },
      contextVariables: s.request.context ?? {},
    },
    identityPolicies: policies(s.identityPolicies ?? []),
    serviceControlPolicies: levels(s.serviceControlPolicies),
    resourceControlPolicies: levels(s.resourceControlPolicies),
    resourcePolicy: s.resourcePolicy?.document,
    sessionPolicy: merged(s.sessionPolicies),
    permissionBoundaryPolicies: policies(s.permissionBoundary),
    vpcEndpointPolicies: policies(s.vpcEndpointPolicies),
    additionalSettings: {
      s3: {
        bucketAbacEnabled: s.settings?.['s3.bucketAbac'] ?? false,
        blockPublicAccess: s.settings?.['s3.restrictPublicBuckets'] ?? false,
      },
    },
  }
}

// In their discovery a key of the context is no more certain than one that it lacks, unless it is said to be; in ours it is.
function options(s) {
  if (s.mode !== 'discover') return { simulationMode: 'Strict' }
  const known = Object.keys(s.request.context ?? {}).map((key) => ({ key, presenceKnown: true, valueKnown: true }))
  const said = s.contextKnowledge ?? []
  const unsaid = known.filter((k) => !said.some((one) => one.key.toLowerCase() === k.key.toLowerCase()))
  return {
    simulationMode: 'Discovery',
    discoveryContextKeyConstraints: [...said, ...unsaid].map((k) => ({
      keyName: k.key,
      presenceIsKnown: k.presenceKnown ?? false,
      valueIsKnown: k.valueKnown ?? false,
    })),
  }
}

const results = []
for (const s of JSON.parse(readFileSync(0, 'utf8')).scenarios) {
  try {
    const answer = await theirs.runSimulation(simulation(s), options(s))
    if (answer.resultType === 'error') {
      results.push({ id: s.id, error: answer.errors.message })
      continue
    }
    const ignored = [answer.result, ...(answer.results ?? [])].flatMap((r) => r?.ignoredContextKeys ?? [])
    results.push({ id: s.id, decision: answer.overallResult, ignored: [...new Set(ignored)] })
  } catch (e) {
    results.push({ id: s.id, error: String(e?.message ?? e) })
  }
}
process.stdout.write(JSON.stringify({ results }))
