/* dnsd: answers for the zones that are ours. Prototypes are grouped under the name of their file.
 *
 *	udp.c: batches --.                           .--> query.c, answer*.c, image*.c (pure)
 *	                  +--> serve.c: ACL, RRL ---+
 *	tcp.c: streams --'                           '--> load.c: the zones that are served
 *	                                                    |
 *	                            a process of its own: builder.c, compile.c
 */
#ifndef DNSD_DNSD_H
#define DNSD_DNSD_H
#include <netinet/in.h>
#include "libcommon/base/buf.h"
#include "libcommon/base/conf.h"
#include "libcommon/net/control.h"
#include "libcommon/net/daemon.h"

/* --- conf.c: dnsd.conf ---------------------------------------------------------------------- */

struct zone_conf {
	struct conf_block block;
	const char *file;
	/* conf_verify() sets these. */
	const char *name; /* as written */
	const char *text; /* its file, wherever that is named */
	uint8_t *wire;    /* lower case */
};
struct tcp_conf {
	struct conf_block block;
	uint64_t connections, per_address, idle_timeout;
};
struct rrl_conf {
	struct conf_block block;
	uint64_t responses_per_second; /* 0: no limit */
	uint64_t slip;                 /* every so manieth is answered by TC; 0: none */
	uint64_t window;               /* ms */
	struct conf_list exempt;       /* of struct conf_net */
};
struct dnsd_conf {
	struct conf_list content, content_tls; /* of struct conf_addr */
	struct conf_list zones;                /* of struct zone_conf */
	struct conf_list keys;                 /* of struct key_conf */
	const char *state_dir, *nsid, *identity, *version;
	uint64_t udp_size;
	bool minimal_any, additional, cookies, bad_cookie;
	const char *cookie_secret_file;
	struct conf_list allow, refuse; /* of struct conf_net */
	struct tcp_conf tcp;
	struct rrl_conf rrl;
};
extern struct dnsd_conf conf;
extern const struct conf_directive conf_table[];
void conf_verify(struct conf_errors *e, void *root);
/* For each address of `content` a listener of datagrams and one of connections. */
size_t conf_listeners(struct pool *pool, struct listen_spec **out);
/* The folders of the zones' files, and that of the images. */
void conf_sandbox(struct pool *pool, struct sandbox *out);
/* The address is in one of the networks (struct conf_net). */
bool conf_has(const struct conf_list *nets, const struct sockaddr *sa);

/* --- conf_secret.c: files of secrets, read before the sandbox closes ----------------------------
 */

/* The file's first octets, at most cap, which the caller wipes. NULL, or what is wrong with it:
 * only its owner may write it, and his group read. */
const char *conf_secret(const char *path, char *text, size_t cap, struct slice *out);
/* Cuts the next line off, without what is blank around it. */
struct slice conf_secret_line(struct slice *text);

/* --- rrl.c: how many responses a network of clients gets (response rate limiting) ------------- */

enum rrl_class { RRL_ANSWER, RRL_REFERRAL, RRL_NXDOMAIN, RRL_ERROR };
enum rrl_verdict { RRL_PASS, RRL_SLIP, RRL_DROP };
struct rrl;
/* rate: responses a second of a class to an IPv4 /24 or IPv6 /56. Who asks for more gets into debt,
 * up to what `window_ms` pays for, and is limited until it is paid. slip: of the responses over the
 * limit every so manieth goes out, emptied and with TC, so that a real client comes by TCP; 0:
 * none. A fixed table of RRL_SLOTS networks. */
enum { RRL_SLOTS = 1 << 16 };
struct rrl *rrl_new(uint32_t rate, uint32_t slip, uint64_t window_ms);
void rrl_free(struct rrl **r);
/* A response of the class is about to go to the client; now: clock_mono(). */
enum rrl_verdict rrl_count(struct rrl *r, const struct sockaddr *client, enum rrl_class class,
			   uint64_t now);
/* Makes of a response one with the question, the OPT record and TC. Returns its octets. */
size_t rrl_slip(uint8_t *response, size_t len);

/* --- cookie.c: the secret of DNS cookies, shared by the processes ------------------------------
 */

/* The present secret and the one before. Read from `dir` (a folder's fd), made there when there is
 * none; looked at again, and replaced when it is a day old, by a timer of its own. */
const uint8_t (*cookie_start(int dir))[16];
/* Instead, what stands in a file that several servers have the same: 32 digits to base 16 a line,
 * the present secret and, perhaps, another one that is good. NULL, or what is wrong with it. */
const char *cookie_shared(const char *path);

/* --- serve.c: a query in, a response out --------------------------------------------------------
 */

enum transport { BY_UDP, BY_TCP, BY_TLS };
struct later;
struct query_from {
	const struct sockaddr *client;
	enum transport by;
	/* For later_keep() (later.h), while the query is being served; may be NULL. */
	struct later *(*keep)(void *origin);
	void *origin;
};
/* Writes the response (at most cap octets; 512 at least) and returns its octets; 0: there is none,
 * or it comes later.
 */
typedef size_t serve_fn(const struct query_from *from, const uint8_t *pkt, size_t len, uint8_t *out,
			size_t cap);
/* Queries that came together: the next calls of the serve_fn are for these, one for each, in that
 * order; a chance to get ready for all of them at once. */
typedef void serve_ahead_fn(const struct slice *pkt, unsigned n);
/* state: the fd of the state folder. */
void serve_start(int state);
serve_fn serve;
serve_ahead_fn serve_ahead;

/* --- udp.c
 * ---------------------------------------------------------------------------------------- */

enum { UDP_MAX = 4096 /* octets of a query or a response */ };
/* Answers what comes to the bound socket, which is taken over. size: most octets of a response, at
 * most UDP_MAX; ahead may be NULL. False with a line in the log. */
bool udp_start(int fd, const char *name, size_t size, serve_fn *fn, serve_ahead_fn *ahead);
/* Answers what waits in the sockets, then closes them. */
void udp_stop(void);

/* --- tcp.c: connections, with and without TLS
 * ------------------------------------------------------ */

enum { TCP_QUERY_MAX = 16382 /* octets; a longer one ends the connection */ };
extern const struct listen_ops tcp_listen_ops;
void tcp_start(serve_fn *fn);
/* Lets the connections go; `over` is called when there is none left. */
void tcp_drain(void (*over)(void));

/* --- load.c: zones, from text to image to service
 * --------------------------------------------------- */

struct zones;
/* Serves each zone's image, also an old one; begins to compile those whose text is newer. state:
 * the fd of the state folder. done: every zone is served, or failed. */
void load_start(int state, void (*done)(void));
const struct zones *load_zones(void);
/* A response was made for the zone with that number. */
void load_count(unsigned zone);
/* `zone list`, `zone reload [NAME]`; false: not a command of this file. */
bool load_command(struct control_call *call);
void load_stats(struct buf *out); /* the zones' counters */

/* --- compile.c: a zone's text into an image; what blocks
 * ------------------------------------------- */

struct image;
struct compile {
	int state;                /* folder of the images */
	const char *image, *file; /* names: in state, of the text */
	const uint8_t *zone;
	bool force; /* also when the text is as it was */
	/* Out: */
	struct image *out; /* NULL: it could not be done; `errors` says why */
	bool built;        /* it was compiled; else it was there */
	struct buf errors; /* lines; warnings too */
	unsigned mistakes;
	uint64_t ms;
};
/* The name of the zone's image in the state folder, in pool. */
const char *compile_image_name(struct pool *pool, const struct zone_conf *z);
/* Processes that want the same image build it once: the others wait, and map it. */
void compile_run(struct compile *c);
/* The image, when it is that of the text as the file is now; else NULL. old (may be NULL) gets it
 * when it is of an earlier text. */
struct image *compile_fresh(const struct compile *c, struct image **old);

/* --- builder.c: the process that compiles
 * ------------------------------------------------------------ */

struct built { /* by the number of the zone in conf; the image is in the state folder when ok */
	unsigned zone, mistakes;
	bool ok, built;
	uint64_t ms;
};
/* errors: lines. b NULL: the process has ended, and builder_ask() fails from now on. */
typedef void builder_done(const struct built *b, struct slice errors);
/* Start-up, before the sandbox and any thread: forks it. */
void builder_start(void);
void builder_watch(builder_done *done);
/* One request at a time. */
bool builder_ask(unsigned zone, bool force);

/* --- stats.c
 * ---------------------------------------------------------------------------------------- */

enum { STATS_RCODES = 24 };
struct stats {
	uint64_t queries[3], dropped, refused, tsig_failed, truncated, cookies; /* queries: by enum
										 * transport */
	uint64_t rcode[STATS_RCODES];
	uint64_t rrl_dropped, rrl_slipped;
	uint64_t udp_bad, udp_send_full, udp_send_failed;
	uint64_t connections, connections_total, displaced, malformed, tls_failed;
};
extern struct stats stats;
void stats_write(struct buf *out);
#endif
