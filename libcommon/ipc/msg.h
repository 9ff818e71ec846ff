/* msg: the suite's messages as C structs, and their encoding. See msg.def.
 * Wire form (little endian): u32 payload length, u16 code, u16 flags, u32 request id, payload:
 * the fields in order; BYTES as u32 length and bytes, ROWS as u32 count and rows, BODY as u32
 * kind (0 inline, 1 fd), u64 size, then bytes when inline. */
#ifndef IPC_MSG_H
#define IPC_MSG_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/pool.h"
#include "libcommon/base/str.h"

#define IPC_VERSION     1u
#define IPC_HEADER      12u
#define IPC_FLAG_FD     1          /* a descriptor comes along */
#define IPC_FRAME_MAX   (4u << 20) /* payload; lists larger than that are paged */
#define IPC_INLINE_BODY (256u << 10)
#define IPC_BODY_MAX    (1025ull << 20) /* smtpd's largest max-size, and what it adds */
#define IPC_ROWS_MAX    (1u << 20)

enum role {
	ROLE_NONE,
	ROLE_SMTPD,
	ROLE_POP3D,
	ROLE_IMAPD,
	ROLE_DNSD,
	ROLE_PROXYD,
	ROLE_HTTPD,
	ROLE_FTPD,
	ROLE_CTL,
	ROLE_STORED,
	ROLE_KEYD,
	ROLE_COUNT
};
#define R_BIT(r) (1u << (r))
#define R_SMTPD  R_BIT(ROLE_SMTPD)
#define R_POP3D  R_BIT(ROLE_POP3D)
#define R_IMAPD  R_BIT(ROLE_IMAPD)
#define R_CTL    R_BIT(ROLE_CTL)
#define R_LOGIN \
	(R_SMTPD | R_POP3D | R_IMAPD | R_BIT(ROLE_PROXYD) | R_BIT(ROLE_HTTPD) | R_BIT(ROLE_FTPD))
#define R_ZONES (R_BIT(ROLE_DNSD) | R_CTL)
#define R_TLS   (R_LOGIN | R_BIT(ROLE_DNSD))
#define R_ALL   (R_TLS | R_CTL | R_BIT(ROLE_STORED) | R_BIT(ROLE_KEYD))
/* "smtpd" ...; NULL / ROLE_NONE when unknown. Socket file and fd names use them. */
const char *role_name(enum role r);
enum role role_by_name(const char *name);

enum ipc_err {
	ERR_OK,
	ERR_LOST,     /* made by the client side: connection to the service lost, outcome unknown */
	ERR_TEMP,     /* try again later */
	ERR_BAD,      /* malformed or impossible request */
	ERR_DENIED,   /* not this role, not this account */
	ERR_AUTH,     /* wrong user or password */
	ERR_GRANT,    /* grant expired or revoked: authenticate again */
	ERR_NOTFOUND, /* no such mailbox, message, object */
	ERR_NOTLOCAL, /* no domain of ours and no right to relay */
	ERR_EXISTS,
	ERR_INUSE,
	ERR_DELAY, /* LOGIN-DELAY */
	ERR_QUOTA, /* the account's */
	ERR_FULL,  /* disk full or failing: nothing was stored */
	ERR_LIMIT, /* too many: sending limit, login limit */
	ERR_SIZE,
	ERR_DISABLED, /* the mailbox takes no mail: its account is disabled */
	ERR_COUNT
};
const char *ipc_err_name(enum ipc_err e);

enum rcpt_kind { RCPT_LOCAL, RCPT_ALIAS, RCPT_RELAY };
/* Of a queued recipient (stored/queue.c says what each means). */
enum queue_state {
	QUEUE_DUE,
	QUEUE_DONE,
	QUEUE_FAILED,
	QUEUE_HELD,
	QUEUE_RELAYED, /* by a host that takes no notice requests along */
	QUEUE_PASSED,  /* to a host that took the notice request along */
	QUEUE_DELETED, /* by an administrator */
};
/* Of what a sender is to be told (RFC 3464's actions). */
enum notice {
	NOTICE_NONE,
	NOTICE_FAILED,
	NOTICE_DELAYED,
	NOTICE_DELIVERED,
	NOTICE_RELAYED,
	NOTICE_EXPANDED, /* an alias of several targets */
};
enum cell_kind {
	CELL_TEXT,
	CELL_NUMBER,
	CELL_BOOL, /* "1" or "0" */
	CELL_TIME, /* ms since 1970 */
	CELL_SIZE
};
enum watch_kind { WATCH_MAILBOX = 1, WATCH_QUEUE, WATCH_ZONE };
/* Objects of WATCH_QUEUE. FLUSH: an administrator wants it tried now, whatever failed before.
 * NOTICE: a sender will be owed a notice; the event's value is when, in ms since 1970. */
enum queue_watch { QUEUE_WATCH_DUE, QUEUE_WATCH_FLUSH, QUEUE_WATCH_NOTICE };

/* deliver.flags, queued.flags */
#define DELIVER_SMTPUTF8   1u
#define DELIVER_8BIT       2u
#define DELIVER_BINARY     4u
#define DELIVER_REQUIRETLS 8u
#define DELIVER_RET_FULL   16u
#define DELIVER_RET_HDRS   32u
#define DELIVER_SUBMITTED  64u
#define DELIVER_BY_NOTIFY  128u /* past deliver_by_ms: told, and still delivered (RFC 2852) */
#define DELIVER_BY_TRACE   256u /* told when it is passed on, too */
/* rcpt.notify (RFC 3461) */
#define NOTIFY_NEVER   1u
#define NOTIFY_SUCCESS 2u
#define NOTIFY_FAILURE 4u
#define NOTIFY_DELAY   8u

enum { ZONE_KEYS_MAX = 8 /* of one zone, in keyd */ };

/* Where a zone of the store comes from. */
enum zone_source {
	ZONE_STORE,     /* the administrator, dynamic update */
	ZONE_SECONDARY, /* transferred from its primary: dnsd alone changes it */
};
/* zone_op.kind */
enum zone_change_kind {
	ZONE_ADD,         /* a record, unless it is there; its rrset takes its TTL */
	ZONE_DELETE_RR,   /* the record, whatever its TTL */
	ZONE_DELETE_SET,  /* all of the type */
	ZONE_DELETE_NAME, /* all of the name, but SOA and NS at the zone's own */
};

/* zone_need.kind: what must be so (RFC 2136 2.4) */
enum zone_need_kind {
	ZONE_NEED_NAME,    /* the name has records */
	ZONE_NEED_NO_NAME, /* it has none */
	ZONE_NEED_SET,     /* it has records of the type */
	ZONE_NEED_NO_SET,  /* it has none */
	ZONE_NEED_RR,      /* those with this kind, name and type are all that there are of it */
};

/* Sending: bytes inline up to IPC_INLINE_BODY, else fd (a memfd; sealed by the frame layer,
 * which dups it). Receiving: either bytes (valid in the callback) or an fd that is closed after the
 * callback unless taken by setting it to -1. fd is -1 when unused: use BODY_NONE to start (0 is
 * taken as unused too: no daemon sends its stdin). */
struct body {
	struct slice bytes;
	int fd;
	uint64_t size;
};
#define BODY_NONE ((struct body){.fd = -1})

#define U32(f)   uint32_t f;
#define U64(f)   uint64_t f;
#define BYTES(f) struct slice f;
#define ROWS(r, f)         \
	struct row_##r *f; \
	uint32_t f##_n;
#define BODY(f) struct body f;
#define ROW(name, fields)   \
	struct row_##name { \
		fields      \
	};
#define MSG(name, code, roles, fields) \
	struct msg_##name {            \
		fields                 \
	};
#include "libcommon/ipc/msg.def"
#undef ROW
#undef MSG
enum msg_type {
	MSG_NONE,
#define ROW(name, fields)
#define MSG(name, code, roles, fields) MSG_##name = code,
#include "libcommon/ipc/msg.def"
};
#undef U32
#undef U64
#undef BYTES
#undef ROWS
#undef BODY
#undef ROW
#undef MSG

struct msg_info {
	const char *name;
	enum msg_type type;
	unsigned roles; /* R_* bits that may send it to a service */
	size_t size;    /* of the struct */
};
const struct msg_info *msg_info(enum msg_type t); /* NULL: unknown */

/* Appends header and payload to out. fd of a BODY field is stored in *fd (-1: none). False when
 * over IPC_FRAME_MAX; out is then as before. */
bool msg_encode(struct buf *out, enum msg_type t, uint32_t request, const void *msg, int *fd);
/* Decodes a payload into a struct in pool (slices point into payload). fd: what came along, -1.
 * NULL when malformed: short, trailing bytes, counts over limits, inline body too large. */
void *msg_decode(struct pool *pool, enum msg_type t, struct slice payload, int fd);
/* The message's body; NULL when its kind has none. */
struct body *msg_body(enum msg_type t, void *msg);
/* True for messages that carry passwords, grants or keys: their bytes are wiped after use. */
bool msg_secret(enum msg_type t);
/* True when fd is a memfd of just that size which nobody can change any more. */
bool msg_fd_sealed(int fd, uint64_t size);

#endif
