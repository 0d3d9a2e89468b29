#!/bin/sh
# Runs a command and says what it was for and how long it took:  timed.sh "what it does" COMMAND...
what=$1
shift
began=$(date +%s)
printf '== %s\n' "$what"
"$@"
status=$?
took=$(($(date +%s) - began))
if [ "$status" -eq 0 ]; then
  printf '== %s: done in %d s\n' "$what" "$took"
else
  printf '== %s: FAILED after %d s (exit status %d)\n' "$what" "$took" "$status" >&2
fi
exit "$status"
