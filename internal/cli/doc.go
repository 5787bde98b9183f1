// Package cli is the command line: it reads arguments, starts the manager and the delegate or talks to a manager, and
// prints what came of it.
//
// What a command was asked for goes to standard output and nothing else does, so that `-o json` can be piped; notes, logs
// and errors go to standard error. The exit code says how it ended, see Code.
//
// Every flag can be set by a variable: BELAY_ and its name in capitals. Where a manager is needed, it is found by
// --endpoint, --api-key and --account, then by their variables, then by the profile that `belay up` wrote.
package cli
