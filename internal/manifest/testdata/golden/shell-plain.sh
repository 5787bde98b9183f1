#!/usr/bin/env bash
# Delegate eks-prod, written by belay delegate manifest --kind shell. A script for a machine of your own.
#
# First:    export DELEGATE_TOKEN="$(belay delegate token show TOKEN)"
#
# Start:    bash FILE
# Ctrl-C or SIGTERM lets running tasks finish, up to 580 seconds.
set -euo pipefail

: "${DELEGATE_TOKEN:?set DELEGATE_TOKEN to the value of the delegate token}"
export DELEGATE_TOKEN
export ACCOUNT_ID='Hue1lBsaSx2APlXjzVEPIg'
export MANAGER_HOST_AND_PORT='https://belay.example.com'
export DELEGATE_NAME='eks-prod'
export DELEGATE_TYPE='DOCKER'

exec belay delegate run
