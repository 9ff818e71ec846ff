/* wire: DNS messages (RFC 1035 4, EDNS by RFC 6891). Reading is an iterator over a packet that
 * never leaves it; writing goes into the caller's memory. Nothing here allocates. */
#ifndef DNS_WIRE_H
#define DNS_WIRE_H
#include "libcommon/dns/name.h"

enum dns_type {
	DNS_A = 1,
	DNS_NS = 2,
	DNS_CNAME = 5,
	DNS_SOA = 6,
	DNS_PTR = 12,
	DNS_MX = 15,
	DNS_TXT = 16,
	DNS_AAAA = 28,
	DNS_SRV = 33,
	DNS_DNAME = 39,
	DNS_OPT = 41,
	DNS_DS = 43,
	DNS_RRSIG = 46,
	DNS_NSEC = 47,
	DNS_DNSKEY = 48,
	DNS_NSEC3 = 50,
	DNS_NSEC3PARAM = 51,
	DNS_TLSA = 52,
	DNS_CDS = 59,
	DNS_CDNSKEY = 60,
	DNS_ZONEMD = 63,
	DNS_SVCB = 64,
	DNS_HTTPS = 65,
	DNS_ANY = 255,
	DNS_CAA = 257,
	DNS_ALIAS = 65401, /* never on the wire: addresses of another name stand for it */
};

enum { DNS_IN = 1 }; /* the only class we speak */

enum dns_rcode {
	DNS_NOERROR = 0,
	DNS_FORMERR = 1,
	DNS_SERVFAIL = 2,
	DNS_NXDOMAIN = 3,
	DNS_NOTIMP = 4,
	DNS_REFUSED = 5,
	DNS_YXDOMAIN = 6, /* RFC 2136 2.2 */
	DNS_YXRRSET = 7,
	DNS_NXRRSET = 8,
	DNS_NOTAUTH = 9,
	DNS_NOTZONE = 10,
	DNS_BADVERS = 16, /* extended: needs EDNS */
};

/* The second word of the header; the opcode and the rcode stand between. */
enum {
	DNS_QR = 0x8000,
	DNS_OPCODE = 0x7800,
	DNS_AA = 0x0400,
	DNS_TC = 0x0200,
	DNS_RD = 0x0100,
	DNS_RA = 0x0080,
	DNS_AD = 0x0020,
	DNS_CD = 0x0010,
	DNS_RCODE = 0x000f,
};

enum dns_section { DNS_QUESTION, DNS_ANSWER, DNS_AUTHORITY, DNS_ADDITIONAL };

enum {
	DNS_HEADER = 12,      /* octets */
	DNS_EDNS_SIZE = 1232, /* what we say that we take by UDP: fits every path unfragmented */
	DNS_QUERY_MAX = 300,  /* room for any query of dns_query() */
	DNS_MSG_MAX = 65535,  /* octets of a message by TCP */
	DNS_OUT_NAMES = 64,   /* names that a message being written is compressed against */
	DNS_OPT_EDE = 15,     /* Extended DNS Error (RFC 8914) */
};

static inline uint16_t dns_u16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t dns_u32(const uint8_t *p)
{
	return (uint32_t)dns_u16(p) << 16 | dns_u16(p + 2);
}

struct dns_header {
	uint16_t id, flags;
	uint16_t count[4]; /* by enum dns_section */
};

struct dns_question {
	size_t name; /* where it stands in the packet */
	uint16_t type, class;
};

struct dns_rr {
	enum dns_section section;
	size_t owner; /* where the name stands in the packet: dns_name_read() validates it */
	uint16_t type, class;
	uint32_t ttl; /* seconds; as received: an OPT record keeps flags here */
	size_t rdata; /* where it stands in the packet, whole */
	uint16_t rdlen;
};

/* Goes over the questions, then over the records. */
struct dns_iter {
	const uint8_t *pkt;
	size_t len, at;
	uint16_t left[4];
	bool bad; /* the packet ends before its counts do, or a name is no name */
};

/* Reads the header and stands before the first question; false: shorter than a header. */
bool dns_iter_init(struct dns_iter *it, const uint8_t *pkt, size_t len, struct dns_header *h);
/* The next question; false: no more, or it->bad. */
bool dns_iter_question(struct dns_iter *it, struct dns_question *q);
/* The next record, questions that were not read skipped; false: no more, or it->bad. */
bool dns_iter_rr(struct dns_iter *it, struct dns_rr *rr);

struct dns_edns {
	uint16_t size;  /* what its sender takes by UDP, at least 512 */
	uint16_t rcode; /* upper bits of the extended rcode, in place: or them to the header's */
	uint8_t version;
	bool dnssec_ok;
	struct slice options;
};
/* Reads an OPT record; false: it is none, or its options do not fill it. */
bool dns_edns_read(const uint8_t *pkt, const struct dns_rr *rr, struct dns_edns *out);
/* Cuts the next option off *options; false: no more. */
bool dns_edns_option(struct slice *options, uint16_t *code, struct slice *data);

/* The TTL as seconds: a value with the high bit set is 0 (RFC 2181 8). */
static inline uint32_t dns_ttl(uint32_t ttl)
{
	return ttl & 0x80000000u ? 0 : ttl;
}

/* A message being written. */
struct dns_out {
	uint8_t *p;
	size_t len, cap;
	bool full; /* something did not fit: it and all that came after was left out */
	unsigned names;
	uint16_t name_at[DNS_OUT_NAMES];
};
/* Starts with the header; cap is at most DNS_MSG_MAX. Its counts are those of the questions and
 * records that are written. */
void dns_out_init(struct dns_out *o, void *p, size_t cap, uint16_t id, uint16_t flags);
void dns_out_u16(struct dns_out *o, uint16_t v);
void dns_out_u32(struct dns_out *o, uint32_t v);
void dns_out_bytes(struct dns_out *o, const void *p, size_t n);
/* The name, its end replaced by a pointer where it stood before and `compress` is set (only in
 * owners and in the types of RFC 1035: RFC 3597 4). */
void dns_out_name(struct dns_out *o, const uint8_t *name, bool compress);
void dns_out_question(struct dns_out *o, const uint8_t *name, uint16_t type);
/* Owner, type, class IN, TTL and an open rdata, counted in the section. Returns what
 * dns_out_rr_end() needs to set the length. */
size_t dns_out_rr(struct dns_out *o, enum dns_section s, const uint8_t *owner, uint16_t type,
		  uint32_t ttl);
void dns_out_rr_end(struct dns_out *o, size_t rr);
/* An OPT record with no options; rcode is the extended one. */
void dns_out_edns(struct dns_out *o, uint16_t size, uint16_t rcode, bool dnssec_ok);

struct dns_query {
	uint16_t id, type;
	uint16_t flags;     /* DNS_RD, DNS_AD, DNS_CD */
	uint16_t edns_size; /* 0: without EDNS */
	bool dnssec_ok;     /* with EDNS: send signatures */
};
/* Writes a query for the name; returns its octets. */
size_t dns_query(uint8_t out[DNS_QUERY_MAX], const uint8_t *name, const struct dns_query *q);
#endif
