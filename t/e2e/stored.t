#!/bin/sh
# The real stored, spoken to through its sockets, killed in between (t/tool/storetest.c).
exec "${HAMLET_BUILD:-build}/t/tool/storetest" "${HAMLET_BUILD:-build}/stored"
