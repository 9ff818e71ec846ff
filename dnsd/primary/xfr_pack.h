/* xfr_pack: records into the messages of a transfer: as many as go into one, their names compressed
 * against the zone's, the owner before and the target before. Pure. */
#ifndef DNSD_XFR_PACK_H
#define DNSD_XFR_PACK_H
#include "libcommon/dns/zonetext.h"

enum { XFR_SOFT = 16 << 10 /* octets: one that is larger takes no more, pointers end there */ };

struct xfr_name {
	size_t len; /* 0: none */
	uint16_t at;
	uint8_t name[DNS_NAME_MAX];
};
struct xfr_pack {
	uint8_t *p;
	size_t len, cap;
	unsigned records;
	const uint8_t *zone; /* lower case; the question's name */
	size_t zone_len;
	struct xfr_name owner, target;
};
/* Begins a message with the question (name, type and class as they came), which is the zone's name
 * in whatever case; flags: all of them. cap holds the question at least. */
void xfr_pack_begin(struct xfr_pack *k, uint8_t *out, size_t cap, uint16_t id, uint16_t flags,
		    const uint8_t *question, size_t question_len, const uint8_t *zone);
/* False: it has no room here, and the message is as it was; nor has an empty one when nothing was
 * added to it yet. owner: lower case, of the zone. */
bool xfr_pack_add(struct xfr_pack *k, const struct zone_rr *rr);
/* Counts the records; an OPT record, when udp_size is not 0, behind them (11 octets are free).
 * Returns the octets. */
size_t xfr_pack_end(struct xfr_pack *k, uint16_t udp_size);
enum { XFR_OPT = 11 };
#endif
