/* chase: where an answer leads on: CNAME (RFC 1034 3.6.2) and DNAME (RFC 6672). Pure. */
#ifndef DNSD_CHASE_H
#define DNSD_CHASE_H
#include "dnsd/cache/cache.h"

enum chase {
	CHASE_END,      /* it is the last part */
	CHASE_ON,       /* to the target */
	CHASE_TOO_LONG, /* the DNAME makes no name of it: YXDOMAIN */
};
/* part answers the question for the name and type; target: lower case. */
enum chase chase_next(const uint8_t *name, uint16_t type, const struct cached *part,
		      uint8_t target[DNS_NAME_MAX]);
/* What the DNAME makes of the name, which is below its owner. */
enum chase chase_dname(const struct rrset *dname, const uint8_t *name,
		       uint8_t target[DNS_NAME_MAX]);
/* The CNAME that a DNAME stands for: its data goes into room, of 2 + DNS_NAME_MAX octets. */
void chase_cname(const struct cached *dname, const uint8_t *name, const uint8_t *target,
		 uint8_t *room, struct cached *out);
#endif
