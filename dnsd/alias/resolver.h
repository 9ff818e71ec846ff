/* resolver: the stub client of this process, for what is looked up at others: what ALIAS records
 * lead to, what the parents of our zones have. */
#ifndef DNSD_RESOLVER_H
#define DNSD_RESOLVER_H
#include "libcommon/dns/stub.h"

/* Start-up, before the sandbox: resolv.conf is read where dnsd.conf names no `resolver`. */
void resolver_start(void);
struct stub *resolver(void);
#endif
