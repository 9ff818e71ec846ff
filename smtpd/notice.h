/* notice: what became of a message, for its sender (RFC 3464): not delivered, delayed, delivered,
 * or relayed to a host that tells nobody. stored knows what is owed (stored/queue_notice.c); here
 * it is written and handed in. Prototypes by file. Loop thread only. */
#ifndef SMTPD_NOTICE_H
#define SMTPD_NOTICE_H
#include <stdbool.h>
#include <stdint.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/conf.h"
#include "libcommon/base/pool.h"
#include "libcommon/base/str.h"
#include "libcommon/ipc/msg.h"

#define NOTICE_LINE 998 /* octets of a line of a notice at most, without its end */

struct notice_item {
	const struct row_owed *item; /* with at least one recipient; a sender that is not empty */
	/* When each recipient is given up, clock_ms(); 0: not known. NULL: of none. */
	const uint64_t *until_ms;
	const char *hostname;
	const char *from; /* address of the From field */
	const char *id;   /* of the notice, ID_LEN characters */
	bool local;       /* it ends here: the sender has a mailbox (RFC 5321 4.4) */
	uint64_t now_ms;
	uint64_t full_size;    /* octets of the original that are returned; more: its header only */
	struct slice original; /* empty: it could not be read */
};

/* --- notice.c: the driver ----------------------------------------------------------------------
 */
/* From now on what the store owes is written: a few messages at a time are leased, and one is
 * written at a time. Asks when something will be owed, as the store says: with its answers, and by
 * an event. When relay is on. */
void notice_start(void);
/* The connection to the store was made, the first time or again. */
void notice_store_up(void);
/* Leases nothing more; done() is called when what was leased is written, or cannot be (at once when
 * there is nothing, or notice_start() was not called). */
void notice_drain(void (*done)(void));

/* --- notice_conf.c: `notices { }` of smtpd.conf --------------------------------------------------
 */
extern const struct conf_directive notice_table[];
/* From conf_verify(), when the hostname is known: its mistakes, and the default From. */
void notice_conf_check(struct conf_errors *e);

/* --- notice_text.c: the whole, and its part for people ---------------------------------------- */
/* Appends a multipart/report (RFC 6522) with three parts: a text, the status of each recipient, and
 * the original or its header (RFC 3461 6.2: all of it only when it was asked for, and something
 * failed). Whatever came from the network is made printable. Returns what the notice needs:
 * DELIVER_8BIT, _SMTPUTF8, _REQUIRETLS. Pure. */
uint32_t notice_compose(const struct notice_item *n, struct buf *out);

/* --- for the files of the composition: */
bool notice_has(const struct notice_item *n, enum notice kind);
struct notice_part {
	const char *type;
	bool eight; /* has octets over 127 */
	struct buf text;
};

/* --- notice_words.c: what came from the network ----------------------------------------------- */
/* Cut to max octets; printable UTF-8, with `ascii` printable ASCII; line ends are blanks. */
struct slice notice_clean(struct pool *pool, struct slice s, size_t max, bool ascii);
/* Appends the words of s (cleaned) and a line end, folded at 76 columns where there is a blank; col
 * octets stand on the line already, further lines begin with the indent. */
void notice_words(struct buf *out, size_t col, const char *indent, struct slice s);
/* "550 5.1.1 no such user", as the server had it: line is one of the recipient's text. */
struct slice notice_reply(struct pool *pool, const struct row_owed_rcpt *r, struct slice line);
/* What the sender called the recipient, decoded; empty when that is not known. type (may be NULL)
 * gets "rfc822", "utf-8" ... */
struct slice notice_original_rcpt(struct pool *pool, const struct row_owed_rcpt *r,
				  struct slice *type);

/* --- notice_report.c: message/delivery-status, or global-delivery-status (RFC 6533) ----------- */
void notice_report(const struct notice_item *n, struct pool *pool, struct notice_part *out);

/* --- notice_original.c: message/rfc822, text/rfc822-headers, or their global kin -------------- */
/* True when all of the original is there, not its header alone. */
bool notice_original(const struct notice_item *n, struct pool *pool, struct notice_part *out);
/* The value of a field of the original, unfolded, at most 1000 octets, in pool; empty: none. */
struct slice notice_field(const struct notice_item *n, struct pool *pool, const char *name);

#endif
