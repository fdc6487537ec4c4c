# Every target is one line that calls something real. STACK chooses the environment (default: local).
STACK ?= local
RUN := tools/run

# every target with a help text
.PHONY: $(shell sed -n 's/^\([a-z-]*\):.*\#\#.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## what there is
	@grep -hE '^[a-z-]+:.*##' Makefile | sed 's/:.*##/\t/' | expand -t 16

up: ## bring up STACK; for `local` on a local cloud of its own
	@SEKHA_STARTED=$$(date +%s.%N) $(RUN) --tools python -m ops up --stack $(STACK)

localcloud: ## the local cloud alone, for clients of your own (localcloud/README.md)
	@bin/localcloud up

init: ## generate the secrets of STACK (API key, stack key, signing key) into Pulumi.STACK.yaml
	@$(RUN) --tools python -m ops init --stack $(STACK)

secret: ## set the secret NAME of STACK from the terminal or a pipe, encrypted (e.g. NAME=bucketAccessKey)
	@$(RUN) --tools python -m ops secret --stack $(STACK)

rotate: ## a new KEY=api|signing|stack|bucket for STACK, brought to its machine (docs/rotation.md says what it costs)
	@$(RUN) --tools python -m ops rotate --stack $(STACK)

preview: ## what `up` would change, against the real state of the cloud (EXPECT_NO_CHANGES=1: fail on any)
	@$(RUN) --tools python -m ops preview --stack $(STACK)

drift: ## fail when the cloud does not hold what the code says; reads only
	@$(RUN) --tools python -m ops drift --stack $(STACK)

preview-comment: ## the preview of STACK as a Markdown comment with costs and risks (OUT=file; fails on a blocked change)
	@ci/preview --stack $(STACK) $(if $(OUT),--out $(OUT))

outputs: ## the outputs of STACK as one JSON object, secrets included
	@$(RUN) --tools python -m ops outputs --stack $(STACK)

status: ## the local cloud and the stack at a glance
	@$(RUN) --tools python -m ops status --stack $(STACK)

rebuild: ## STACK from its config and bucket alone, after its machine and volume are lost; restores the backups
	@SEKHA_STARTED=$$(date +%s.%N) $(RUN) --tools python -m ops rebuild --stack $(STACK)

backup-now: ## a backup of STACK now (KIND=diff, full or incr)
	@$(RUN) --tools python -m ops backup-now --stack $(STACK)

backup-list: ## the backups that STACK has
	@$(RUN) --tools python -m ops backup-list --stack $(STACK)

verify-backup: ## restore the newest backup of STACK beside its database, check it, throw it away
	@$(RUN) --tools python -m ops verify-backup --stack $(STACK)

restore: ## put the newest backup (or TO=2026-11-23T14:05:00+00:00) in the place of STACK's data (asks for its name)
	@$(RUN) --tools python -m ops restore --stack $(STACK)

undelete-backups: ## what was deleted of STACK's backups, and with TO=time: bring them back as they were (asks for its name)
	@$(RUN) --tools python -m ops undelete-backups --stack $(STACK)

drill: ## lose a stack of SIZE=100 MB on the local cloud in the middle of writes, rebuild it from its bucket, compare (DATABASE=sqlite)
	@$(RUN) --dev --tools python -m ops.drill

backup-cost: ## requests a month and their price (HOURS=8 of writing a day, STORED_MB=1000, ARCHIVE_TIMEOUT=4)
	@$(RUN) python -m infra.backup_cost

destroy: ## delete what STACK has in the cloud (asks for the stack's name unless it is local)
	@$(RUN) --tools python -m ops destroy --stack $(STACK)

down: ## stop the local cloud; its data stays in the cache folder
	@$(RUN) python -m localcloud down

floor: ## how much of `make up` is boot and package installation alone
	@$(RUN) --tools python -m bench.floor

test: lint test-unit test-service test-browser test-cloud ## everything CI runs

test-unit: ## seconds; no root, no network
	@$(RUN) --dev pytest -q tests/unit

test-service: ## the app against a real PostgreSQL and Chroma
	@$(RUN) --dev pytest -q tests/service

test-browser: ## the local cloud's web console in Chromium (installed where it is missing and we are root)
	@$(RUN) --dev pytest -q tests/browser

test-cloud: ## the local cloud, the real engine, booted machines; needs root
	@$(RUN) --dev --tools pytest -q tests/cloud

record-state: ## keep the state that RELEASE=VERSION leaves behind, for the upgrade guard (needs root; 1 minute)
	@tools/record-state $(RELEASE)

release: ## the artefacts of TAG=vVERSION in dist/ (published where GH_TOKEN and gh are)
	@tools/release

console-picture: ## docs/localcloud-console.png: the web console of a cloud in memory, as Chromium shows it
	@$(RUN) --dev python -m tests.browser.picture

lint: ## ruff, mypy, shellcheck, actionlint
	@$(RUN) --dev tools/lint

fmt: ## format, sort imports, mend simple things
	@$(RUN) --dev sh -c "ruff check --fix . && ruff format ."

bench-service: ## the service next to its floors, at 1 and 32 clients, 2,000 and 100,000 conversations (10 minutes); ARGS="--only get ..."
	@$(RUN) --dev bench/run service $(ARGS)

bench-faults: ## faults while clients write: acknowledged and present rows, errors, seconds until healthy (10 minutes)
	@$(RUN) --dev bench/run faults

bench-growth: ## how much slower each operation is with 100,000 conversations than with 2,000 (6 minutes, 12 more to fill once)
	@$(RUN) --dev bench/run service.growth

bench-searchable: ## messages accepted and messages searchable a second, at 32 creating clients
	@$(RUN) --dev bench/run service.searchable

bench-workers: ## two workers on two cores next to one on one (5 minutes)
	@$(RUN) --dev bench/run service.workers

bench-memory: ## memory of each part, idle and under load, next to 8 GB
	@$(RUN) --dev bench/run service.memory

bench-preview: ## `pulumi preview` of a single server next to one resource on the same SDK, per cloud (ROUNDS=5)
	@$(RUN) --tools python -m bench.preview

bench-localcloud: ## the local cloud: requests/s next to a floor, 200 servers without machines, 20 real ones (ONLY=api|machines)
	@$(RUN) --dev --tools python -m bench.localcloud

bench-rate: ## how exactly several workers keep the rate limit, over 30 s
	@$(RUN) --dev bench/run service.rate

bench-restore: ## drills of SIZES=100,1000,5000 MB: loss, seconds to rebuild by stage, and how they grow (1 hour)
	@$(RUN) --dev --tools python -m bench.restore

bench-backup-load: ## what clients wait while a full backup runs, next to without (SIZE=500 MB, 6 minutes)
	@$(RUN) --dev --tools python -m bench.backup_load

eval-retrieval: ## recall@5 and @10 by words, by meaning, and fused
	@$(RUN) --dev bench/run retrieval

costs: ## what CONVERSATIONS=50000 cost a month on every cloud (JSON=1, CSV=file, CHART=stem, DATABASE=managed)
	@$(RUN) python -m infra.compare_command

refresh-prices: ## the catalog's prices from the clouds' own lists, as a diff to review (WRITE=1 applies it, OUT=file)
	@$(RUN) python -m infra.refresh

lock: ## lock the dependencies again after editing a *.in file
	@$(RUN) tools/lock

proof-pitr: ## rows deleted by mistake come back by a restore to a time; impossible times are refused (DATABASE=sqlite, STACK=drill)
	@$(RUN) --dev --tools python -m proof.pitr

proof-restore-from: ## a second stack starts with the local stack's data, whose archive is only read (5 minutes)
	@$(RUN) --dev --tools python -m proof.restore_from

proof-verification: ## a good verification of the local stack's backups, then planted failures, each caught (5 minutes; SHORT=1: one)
	@$(RUN) --dev --tools python -m proof.verification

proof-horrors: ## what goes wrong with backups and restores, and how each ends, on the local stack (30 minutes; HORRORS=name,name)
	@$(RUN) --dev --tools python -m proof.horrors

proof-horrors-sqlite: ## the same for a stack on SQLite, which `make drill DATABASE=sqlite KEEP=1` leaves (5 minutes)
	@$(RUN) --dev --tools python -m proof.horrors_sqlite

proof-clients: ## curl and the real sekha SDK against the URL of the local stack
	@$(RUN) --dev --tools python -m proof.clients

proof-hetzner-clients: ## hcloud-python, Debian's hcloud and the provider through the life of every resource (2 minutes; ONLY=python|cli|provider)
	@$(RUN) --dev --tools python -m proof.hetzner_clients

proof-terraform: ## Terraform's (or OpenTofu's) example of localcloud/README.md, by the installed command, on the local cloud
	@$(RUN) --dev python -m proof.terraform

proof-machine: ## user-data, secrets, ports and the metadata lock of the local stack's machine
	@$(RUN) --tools python -m proof.machine

proof-refusals: ## bad input, and the answer each gets before anything is touched
	@$(RUN) python -m proof.refusals

proof-preview: ## comments made of real previews of every kind of change (3 minutes, no machine boots)
	@$(RUN) --dev --tools python -m proof.preview

proof-release: ## new version, bad version, role and size as releases on the running local stack (SHORT=1: versions only)
	@$(RUN) --dev --tools python -m proof.release

proof-signatures: ## tampered, replayed, foreign and malformed releases: refused by the machine, said by `up`
	@$(RUN) --dev --tools python -m proof.signatures

proof-bucket-key: ## what the machine's key can and can't do at the bucket, tried on the machine
	@$(RUN) --tools python -m proof.bucket_key

proof-bootstrap-failures: ## first boots that can't succeed: what `up` says, and how soon (15 minutes; ONLY=route: 5)
	@$(RUN) --dev --tools python -m proof.bootstrap_failures

proof-schema: ## a release that changes the schema: once, before the switch, locked; the previous release on it
	@$(RUN) --dev --tools python -m proof.schema

proof-rotation: ## each key of the local stack rotated, and what it costs (10 minutes; ONLY=api|signing|stack|bucket)
	@$(RUN) --dev --tools python -m proof.rotation

proof-crashes: ## kill -9 and power cuts at many points of up and destroy; each next up completes, nothing is orphaned (30 minutes)
	@$(RUN) --tools python -m proof.crashes

proof-acknowledged: ## kill -9 of service and PostgreSQL under writes: acknowledged conversations counted, all present (ROUNDS=6)
	@$(RUN) --tools python -m proof.acknowledged

compose: ## the Docker stack STACK as a compose.yaml with its files, in the folder OUT
	@$(RUN) --tools python -m ops compose --stack $(STACK)

proof-lost-volume: ## server lost, then the volume too: refused, then accepted, on a booted machine (5 minutes; its data are given up)
	@$(RUN) --dev --tools python -m proof.lost_volume

proof-docker: ## the Docker stack on a Docker engine inside a machine of the local cloud (10 minutes)
	@$(RUN) --dev --tools python -m proof.docker

proof-firewall: ## firewall rules x packets on three machines: expected, measured, IPv4, IPv6, open connections (2 minutes)
	@$(RUN) --dev python -m proof.firewall

proof-daemon-kills: ## kill -9 of the local cloud's daemon before, after and amid every kind of action (30 minutes; ONLY=, POINTS=)
	@$(RUN) --dev python -m proof.daemon_kills

proof-disk-growth: ## disks of servers grow after power cuts and kills of the daemon, beside machines that boot (3 minutes; TIMES=4)
	@$(RUN) --dev python -m proof.disk_growth

proof-faults: ## every fault, what `pulumi up` printed under it, and what the next up did (25 minutes; ONLY=api|machines)
	@$(RUN) --dev --tools python -m proof.faults
