/* rrset: the records of one name and type with the signatures over them, as the cache keeps them,
 * the validator checks them and responses carry them. A view: the memory is somebody else's. */
#ifndef DNSD_RRSET_H
#define DNSD_RRSET_H
#include "libcommon/dns/wire.h"

enum rrset_security { /* RFC 4033 5; from the least to the most that may be said */
		      RRSET_UNCHECKED,
		      RRSET_BOGUS,
		      RRSET_INDETERMINATE, /* no trust anchor above it */
		      RRSET_INSECURE,      /* proven to be under an unsigned delegation */
		      RRSET_SECURE,
};
struct rrset {
	const uint8_t *owner; /* lower case */
	uint16_t type;
	uint32_t ttl; /* seconds */
	uint16_t n, sigs;
	/* n records, then the sigs RRSIG records: of each two octets of length and that much rdata,
	 * names in it whole (dns_rdata_read()). In the order received, no duplicates. */
	struct slice data;
};
/* Cuts the next record's rdata off *data; false: no more. */
static inline bool rrset_next(struct slice *data, struct slice *rdata)
{
	if (data->len < 2)
		return false;
	const uint8_t *p = (const uint8_t *)data->p;
	*rdata = (struct slice){data->p + 2, dns_u16(p)};
	data->p += 2 + rdata->len;
	data->len -= 2 + rdata->len;
	return true;
}
#endif
