/* update: dynamic update (RFC 2136): who may change what, and what a message wants changed. */
#ifndef DNSD_UPDATE_H
#define DNSD_UPDATE_H
#include "dnsd/wire/serve.h"
#include "libcommon/ipc/msg.h"

/* --- conf_update.c: the `update` blocks of a zone -----------------------------------------------
 */

struct update_name {
	bool self;           /* the name that the key has */
	bool below;          /* what is below the name, not the name itself */
	const uint8_t *wire; /* lower case */
};
struct update_conf {
	struct conf_block block;
	const char *key;
	struct conf_list clients;     /* of struct conf_net */
	struct conf_list names_given; /* of struct conf_words */
	struct conf_list types_given;
	/* conf_update_verify() sets these. */
	const struct tsig_key *signer; /* NULL: no signature is needed */
	struct update_name *names;     /* none: all of the zone */
	size_t names_n;
	uint16_t *types; /* none: all but those that the zone itself has at its own name */
	size_t types_n;
};
extern const struct conf_directive conf_update_table[];
/* updates: of struct update_conf; zone: its name, lower case. Mistakes are reported. */
void conf_update_verify(struct conf_errors *e, struct pool *pool, const struct conf_list *updates,
			const uint8_t *zone);

struct update_who {
	const struct sockaddr *client;
	const struct tsig_key *key; /* NULL: it is not signed */
};
/* One block at least is about who asks. */
bool conf_update_known(const struct conf_list *updates, const struct update_who *who);
/* Who asks may change records of the name and type; DNS_ANY: of all types. */
bool conf_update_may(const struct conf_list *updates, const struct update_who *who,
		     const uint8_t *zone, const uint8_t *name, uint16_t type);

/* --- update_read.c: a message; pure --------------------------------------------------------------
 */

enum { UPDATE_NEEDS_MAX = 1000 /* prerequisites; what a message holds of the rest is little */ };
struct update {
	struct row_zone_need *needs;
	struct row_zone_op *ops;
	uint32_t needs_n, ops_n;
};
/* Reads a query of the kind QUERY_UPDATE by RFC 2136 3.1.1, 3.2 and 3.4.1, names and data into
 * pool. Returns an rcode: DNS_NOERROR; FORMERR; NOTAUTH: a zone of another class; NOTZONE: a name
 * that is not in the zone; REFUSED: too much, or a type that only the server itself makes. */
uint16_t update_read(struct pool *pool, const struct query *q, struct update *out);

/* --- forward.c: to the primary, where a secondary is asked ---------------------------------------
 */

/* A zone that it asks to change is a secondary whose updates are passed on: that the key is none of
 * ours is no reason to refuse it. */
bool forward_wanted(const struct query_from *from, const struct query *q);
/* Passes a signed update on; the response comes later. */
size_t forward_serve(const struct asked *a, const struct served *s, uint8_t *out, size_t cap);
#endif
