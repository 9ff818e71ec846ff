/* addrlist: the address lists of From, To and their like (RFC 5322), with groups, comments, the
 * obsolete forms, and what the wild has instead. */
#ifndef MAIL_ADDRLIST_H
#define MAIL_ADDRLIST_H
#include <stdbool.h>
#include <stddef.h>
#include "libcommon/base/pool.h"
#include "libcommon/base/str.h"

#define ADDRLIST_MAX 10000 /* entries; what follows is dropped */

enum addrlist_kind {
	ADDRLIST_MAILBOX,
	ADDRLIST_GROUP, /* a group starts: name is its name */
	ADDRLIST_END,   /* the group ends */
};

/* Slices lie in the parsed text or in the pool; those that are missing are empty. */
struct addrlist {
	struct addrlist *next;
	enum addrlist_kind kind;
	struct slice name;   /* quotes, escapes and folds undone; encoded words as they are (see
			      * word_decode). A trailing comment when there is no phrase. */
	struct slice route;  /* "@a,@b" of an obsolete route */
	struct slice local;  /* quotes and escapes undone */
	struct slice domain; /* as written; empty when the address has none */
};

/* The entries of a raw value (folded or not), NULL when there is none. *cut (may be NULL) tells
 * that the limit was reached. Time and memory are linear in the text. */
struct addrlist *addrlist_parse(struct pool *pool, struct slice raw, bool *cut);

#endif
