#!/bin/sh
# The manual says what the programs know: see t/lint/man-tables.
exec "$(dirname "$0")/../lint/man-tables"
