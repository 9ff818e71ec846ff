/* addr: addresses as SMTP writes them (RFC 5321 Mailbox and Path, RFC 6531 with ADDR_UTF8), in
 * the one canonical form that the suite compares and stores: domain in lower case, no needless
 * quotes or escapes, address literals as inet_ntop prints them. No allocation. */
#ifndef MAIL_ADDR_H
#define MAIL_ADDR_H
#include <stdbool.h>
#include <stddef.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/str.h"

/* Octets. A path is at most 256 with its < and >. */
#define ADDR_LOCAL_MAX  64
#define ADDR_DOMAIN_MAX 255
#define ADDR_MAX        254

#define ADDR_UTF8       1u /* SMTPUTF8 is in force: UTF-8 in local part and domain */
#define ADDR_NULL       2u /* the null reverse-path <> is taken */
#define ADDR_POSTMASTER 4u /* <postmaster> without a domain is taken */
#define ADDR_BARE       8u /* any local part without a domain is (local programs write such) */

enum addr_result {
	ADDR_OK,
	ADDR_SYNTAX,
	ADDR_NEEDS_UTF8, /* UTF-8 without ADDR_UTF8 */
	ADDR_LONG,       /* over one of the limits above, or a label over 63 octets */
};

struct addr {
	char text[ADDR_MAX + 2]; /* canonical, NUL-terminated; "" for the null path */
	size_t len;
	size_t local_len; /* octets of the local part in text; no domain: all of it */
	bool quoted;      /* the local part needs its quotes */
	bool literal;     /* the domain is an address literal */
	bool utf8;        /* has octets over 127 */
};

/* A whole slice as a Mailbox: local@domain. */
enum addr_result addr_mailbox(struct slice in, unsigned flags, struct addr *out);
/* A path at the start of `in`: "<...>"; *used gets its octets with the brackets (on success).
 * Source routes are dropped. */
enum addr_result addr_path(struct slice in, unsigned flags, struct addr *out, size_t *used);
/* True when the slice is a domain name (RFC 5321 Domain, dots between labels, no literal). */
bool addr_domain_ok(struct slice s, unsigned flags);
struct slice addr_text(const struct addr *a);
/* Without the @; empty for the null path and a bare local part. Literals keep their brackets. */
struct slice addr_domain(const struct addr *a);
/* Splits a canonical address at its last @: for addresses that came out of the store. */
void addr_split(struct slice canonical, struct slice *local, struct slice *domain);

/* xtext (RFC 3461 section 4). */
bool xtext_encode(struct buf *out, struct slice s);
/* Writes at most s.len octets; -1 when it is no xtext. */
long xtext_decode(char *out, struct slice s);

#endif
