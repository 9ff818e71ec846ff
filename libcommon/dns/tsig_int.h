/* tsig_int: what the files of TSIG share. */
#ifndef DNS_TSIG_INT_H
#define DNS_TSIG_INT_H
#include <gnutls/gnutls.h>
#include "libcommon/dns/tsig.h"

struct tsig_hash {
	gnutls_mac_algorithm_t mac;
	unsigned size;    /* octets of a whole signature */
	uint8_t name_len; /* octets of the name, as it stands in the record */
	const char *name;
};
extern const struct tsig_hash tsig_hash[TSIG_ALGORITHMS];
/* The shortest signature that may be sent at all (RFC 8945 5.2.2.1). */
unsigned tsig_mac_min(enum tsig_algorithm a);
#endif
