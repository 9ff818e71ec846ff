/* answer_int: what the files of the answer share. A response is made front to back: the question,
 * the records of the name asked and of those that its CNAMEs and DNAMEs lead to, what the authority
 * section needs, additional records where there is room, OPT. */
#ifndef DNSD_ANSWER_INT_H
#define DNSD_ANSWER_INT_H
#include "dnsd/answer/answer.h"

enum {
	PROOFS = ANSWER_HOPS + 4, /* most records of denial that a response needs */
	COOKIE_ALL = 24,
	DNS_BADCOOKIE = 23,
	EDE_NONE = -1, /* RFC 8914 */
	EDE_OTHER = 0,
	EDE_NOT_READY = 14,
	EDE_NOT_AUTHORITATIVE = 20,
	EDE_INVALID_DATA = 24, /* of a zone that expired */
};

/* A wildcard that answered: that nothing nearer exists is proved behind all answers. */
struct expanded {
	const struct image *image;
	struct image_match match;
	const uint8_t *name; /* whose answer it was */
	size_t name_len;
};

struct work {
	const struct zones *zones;
	const struct answer_conf *conf;
	const struct query *q;
	const struct answer_way *way;
	struct answer_info *info;
	size_t limit; /* octets of the whole response */
	uint16_t flags, rcode, count[4];
	int ede;
	struct slice ede_text; /* for humans; may be empty */
	bool truncated;
	bool indexed; /* the question's name is known to `out` */
	/* The name being answered: the one asked, later where aliases led. */
	const uint8_t *name;
	size_t name_len, name_at;  /* name_at: where it stands in the message */
	const struct image *image; /* of its zone */
	unsigned hops, expansions, proofs;
	/* The rrset whose addresses may be added. */
	struct {
		bool wanted, glue;
		struct image_match match;
		uint16_t type;
		size_t main_at; /* where the rrset stands in the message */
	} more;
	bool cookie; /* to be sent */
	/* From here on nothing is set at first. */
	struct dns_out out; /* its capacity leaves room for OPT */
	uint8_t cookie_data[COOKIE_ALL];
	uint8_t chain[ANSWER_HOPS][DNS_NAME_MAX];
	const struct node *seen[ANSWER_HOPS]; /* nodes of the CNAMEs */
	struct expanded expanded[ANSWER_HOPS];
	const struct node *proved[PROOFS];
};

/* --- answer.c: what every response begins and ends with ----------------------------------------
 */
/* The header and the question, as it came: its octets are what pointers lead to. */
void answer_begin(struct work *w, const struct answer_conf *c, const struct query *q,
		  const struct answer_way *way, struct answer_info *info, uint8_t *out, size_t cap);
/* The client has to come again with the cookie that the response brings. */
bool answer_bad_cookie(struct work *w);
/* OPT, the flags and the counts; of a truncated one nothing else. Returns its octets. */
size_t answer_end(struct work *w);
/* --- answer_put.c: pieces into the message. False: no room, nothing is written. ----------------
 */
/* An rrset or its signatures as the answer for the name at owner_at: w->name, or the node's own. */
bool put_answer(struct work *w, enum dns_section s, const struct image_match *m,
		const struct piece *p, size_t owner_at);
/* A piece whose records have their owners written; main: the piece that its pointers may lead into,
 * which stands at main_at. */
bool put_piece(struct work *w, enum dns_section s, const struct image_match *m,
	       const struct piece *main, size_t main_at, const struct piece *p);
/* What there is room for, in whole rrsets. */
void put_optional(struct work *w, const struct image_match *m, const struct piece *main,
		  size_t main_at, const struct piece *p);
/* An rrset or its signatures for a name that may stand nowhere yet: the node's own. */
bool put_owned(struct work *w, enum dns_section s, const struct image_match *m,
	       const struct piece *p);
/* The CNAME that a DNAME means; returns where the target stands; 0: no room. */
size_t put_cname(struct work *w, uint32_t ttl, const uint8_t *target);
void put_u16(uint8_t *p, size_t v);
/* From now on dns_out_name() can point to the names of the question. */
void put_question_names(struct work *w);

/* --- answer_chain.c: the records of names ------------------------------------------------------
 */
void answer_resolve(struct work *w);
/* --- answer_denial.c: proofs of what is not there; true also where the zone has none ------------
 */
bool prove_nxdomain(struct work *w, const struct image_match *m); /* m: the closest encloser */
bool prove_nodata(struct work *w, const uint8_t *name, size_t len);
bool prove_wildcard(struct work *w, const struct image_match *m); /* m: the wildcard */
bool prove_wildcard_nodata(struct work *w, const struct image_match *m);
/* --- answer_edns.c, answer_cookie.c ---------------------------------------------------------- */
size_t edns_room(const struct work *w); /* octets that OPT needs in any case */
void edns_put(struct work *w);
/* Reads the client's cookie and makes the one to send. */
void cookie_read(struct work *w);
#endif
