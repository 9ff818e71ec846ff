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
#include "dnsd/conf/conf_policy.h"
#include "dnsd/conf/conf_xfr.h"
#include "libcommon/base/buf.h"
#include "libcommon/base/conf.h"
#include "libcommon/dns/name.h"
#include "libcommon/net/control.h"
#include "libcommon/net/daemon.h"
#include "libcommon/net/loop.h"

/* --- conf.c: dnsd.conf ---------------------------------------------------------------------- */

struct dns_server;
struct dnssec_conf {
	struct conf_block block;
	bool nsec3, zonemd;
	uint64_t lifetime, refresh, interval; /* ms; interval: CONF_NEVER */
	bool on;                              /* conf_verify() sets it */
};
enum catalog_role { /* of a zone that lists zones (catalog.h) */
		    CATALOG_NONE,
		    CATALOG_OURS,   /* it lists ours */
		    CATALOG_THEIRS, /* it has primaries: what it lists are secondaries here */
};
struct zone_conf {
	struct conf_block block;
	const char *file;
	struct xfr_conf xfr;
	struct conf_list primary;  /* of struct conf_words */
	struct conf_list updates;  /* of struct update_conf */
	struct dnssec_conf dnssec; /* conf_verify() completes it by conf's */
	bool listed;               /* in the catalogs that are ours */
	bool forward;              /* updates go on to the primary */
	/* conf_verify() sets these. */
	unsigned view;    /* 0: of none, all clients see it */
	const char *name; /* as written */
	const char *text; /* its file, wherever that is named; NULL: it is in the store */
	uint8_t *wire;    /* lower case */
	struct dns_server *primaries; /* that it is transferred from (secondary.h) */
	size_t primaries_n;
	enum catalog_role catalog;
};
/* What clients of some networks see: zones of their own, and the others behind these. */
struct view_conf {
	struct conf_block block;
	struct conf_list clients; /* of struct conf_net */
	struct conf_list zones;   /* of struct zone_conf */
	struct names_conf names;
	/* conf_verify() sets it. */
	const char *name;
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
struct transfer_conf { /* of zones to here; times in ms */
	struct conf_block block;
	uint64_t refresh_least, refresh_most, retry_least, retry_most;
	uint64_t max_records, max_octets, max_time, parallel;
	const char *tls_ca;
};
struct recursion_conf { /* the cache server; times in ms */
	struct conf_block block;
	uint64_t size; /* octets */
	uint64_t ttl_least, ttl_most, negative_ttl, failure_ttl;
	uint64_t serve_stale; /* 0: not */
	uint64_t prefetch;    /* per cent */
	uint64_t waiting, waiting_per_client;
	uint64_t queries_per_second; /* of a client; 0: no limit */
	struct conf_list exempt;     /* of struct conf_net */
	uint64_t outgoing;
	const char *root_hints, *tls_ca;
	bool ipv4, ipv6, save, query_log;
};
struct dnsd_conf {
	struct conf_list content, content_tls; /* of struct conf_addr */
	struct conf_list cache, cache_tls;     /* likewise */
	struct conf_list recursion_for;        /* of struct conf_net */
	struct recursion_conf recursion;
	struct conf_list trust_anchors, trust_anchor_files, negative_anchors; /* of const char * */
	struct policy_conf policy;
	struct conf_list zones, catalogs; /* of struct zone_conf */
	struct conf_list views;           /* of struct view_conf; a view's number is 1 more
					   * than its place here */
	struct conf_list keys;            /* of struct key_conf */
	struct conf_list resolvers;       /* of struct conf_addr */
	struct conf_list sources;         /* of struct conf_words */
	struct dnssec_conf dnssec;
	const char *state_dir, *nsid, *identity, *version;
	uint64_t udp_size;
	uint64_t overlay, overlay_time; /* names; ms */
	bool store, minimal_any, additional, cookies, bad_cookie;
	const char *cookie_secret_file;
	struct conf_list allow, refuse; /* of struct conf_net */
	struct xfr_conf xfr;
	uint64_t transfers; /* most that go on at a time */
	struct tcp_conf tcp;
	struct rrl_conf rrl;
	struct transfer_conf transfer;
};
extern struct dnsd_conf conf;
extern const struct conf_directive conf_table[];
void conf_verify(struct conf_errors *e, void *root);
/* Some zone may be in the store. */
bool conf_uses_store(void);
/* conf_zone.c: the zone blocks, and what they must be. */
extern const struct conf_directive conf_zone_table[];
/* pool: what lives as long as conf. */
void conf_zones_verify(struct conf_errors *e, struct pool *pool);
/* The zone's block; for a zone that has none (of the store) one with nothing set, its name NULL. */
const struct zone_conf *conf_zone(const uint8_t *wire);
/* The same of a view (0: of none). */
const struct zone_conf *conf_zone_in(unsigned view, const uint8_t *wire);
/* All blocks, those in views too, and the catalogs; NULL: there are not so many. */
const struct zone_conf *conf_zone_at(size_t i);
/* Of none of the views; instead of a block, for a zone that has none: z is kept by reference. */
void conf_zone_put(struct zone_conf *z);
void conf_zone_remove(const struct zone_conf *z);
/* conf_view.c */
extern const struct conf_directive conf_view_table[];
void conf_views_verify(struct conf_errors *e);
/* The number of the client's view: the first that has its address; 0: none has. */
unsigned conf_view_of(const struct sockaddr *client);
/* Of the view with that name; 0: there is none. */
unsigned conf_view(struct slice name);
/* Its name; "": view 0. */
const char *conf_view_name(unsigned view);
/* conf_dnssec.c: the directive dnssec, for all zones or one. what: "zone NAME: " in messages. */
extern const struct conf_directive conf_dnssec_table[];
void conf_dnssec_verify(struct conf_errors *e, struct dnssec_conf *d, const char *what);
/* A zone has what it does not say from conf.dnssec. */
void conf_dnssec_inherit(struct dnssec_conf *zone);
/* The folders of the zones' files, and that of the images. */
void conf_sandbox(struct pool *pool, struct sandbox *out);
/* --- conf_cache.c: what belongs to the cache server ---------------------------------------------
 */
extern const struct conf_directive conf_recursion_table[];
void conf_cache_verify(struct conf_errors *e);
/* Where trust begins, as the configuration says; NULL: there is no cache server. */
struct anchors;
struct anchors *conf_anchors(void);
/* There is a cache server. */
bool conf_recurses(void);
/* It finds out for the client what it does not know: `recursion-for`. */
bool conf_recursion_for(const struct sockaddr *client);
/* How much it may ask for is not limited. */
bool conf_recursion_unlimited(const struct sockaddr *client);

/* --- conf_listen.c: listeners ------------------------------------------------------------------
 */
/* What is answered at an address. Both: our zones to everybody, other names to some. */
enum serves { SERVES_CONTENT, SERVES_CACHE, SERVES_BOTH };
struct listener_kind { /* listen_spec.arg; NULL: content, without TLS */
	bool tls;
	enum serves serves;
};
/* For each address of `content` and `cache` a listener of datagrams and one of connections. */
size_t conf_listeners(struct pool *pool, struct listen_spec **out);
/* Of the listener with that name. */
enum serves conf_listener_serves(const char *name);

/* conf_ip.c: an IPv4 or IPv6 address, its port 0. False: it is none. */
bool conf_ip(const char *text, struct sockaddr_storage *sa, socklen_t *len);
void conf_ip_port(struct sockaddr_storage *sa, uint16_t port);
/* 1 to 65535. */
bool conf_port(const char *text, uint16_t *port);
/* conf_source.c: the address that other servers of our zones are asked from. NULL: any. */
const struct sockaddr *conf_source(int family, socklen_t *len);
/* Binds the socket to it, where there is one. False: errno tells. */
bool conf_source_bind(int fd, int family);
void conf_source_verify(struct conf_errors *e);
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

enum rrl_class { RRL_ANSWER, RRL_REFERRAL, RRL_NXDOMAIN, RRL_ERROR, RRL_CLIENT };
enum rrl_verdict { RRL_PASS, RRL_SLIP, RRL_DROP };
struct rrl;
/* rate: responses a second of a class to an IPv4 /24 or IPv6 /56. Who asks for more gets into debt,
 * up to what `window_ms` pays for, and is limited until it is paid. slip: of the responses over the
 * limit every so manieth goes out, emptied and with TC, so that a real client comes by TCP; 0:
 * none. A fixed table of RRL_SLOTS networks (shared.h), of all processes. */
struct shared;
struct rrl *rrl_new(uint32_t rate, uint32_t slip, uint64_t window_ms, struct shared *table);
void rrl_free(struct rrl **r);
/* A response of the class is about to go to the client; now: clock_mono(). */
/* The networks' lengths instead, in octets of an IPv4 and an IPv6 address. */
void rrl_by(struct rrl *r, unsigned octets4, unsigned octets6);
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
	enum serves serves; /* at the address that was asked */
};
/* Writes the response (at most cap octets; 512 at least) and returns its octets; 0: there is none,
 * or it comes later.
 */
typedef size_t serve_fn(const struct query_from *from, const uint8_t *pkt, size_t len, uint8_t *out,
			size_t cap);
/* Queries that came together: the next calls of the serve_fn are for these, one for each, in that
 * order; a chance to get ready for all of them at once. */
typedef void serve_ahead_fn(const struct slice *pkt, const struct sockaddr *const *client,
			    unsigned n);
/* state: the fd of the state folder. */
void serve_start(int state);
serve_fn serve;
serve_ahead_fn serve_ahead;

/* --- udp.c
 * ---------------------------------------------------------------------------------------- */

enum { UDP_MAX = 4096 /* octets of a query or a response */ };
/* Answers what comes to the bound socket, which is taken over. serves: for the query_from; size:
 * most octets of a response, at most UDP_MAX; ahead may be NULL. False with a line in the log. */
bool udp_start(int fd, const char *name, enum serves serves, size_t size, serve_fn *fn,
	       serve_ahead_fn *ahead);
/* Answers what waits in the sockets, then closes them. */
void udp_stop(void);

/* --- tcp.c: connections, with and without TLS
 * ------------------------------------------------------ */

extern const struct listen_ops tcp_listen_ops;
void tcp_start(serve_fn *fn);
/* Lets the connections go; `over` is called when there is none left. */
void tcp_drain(void (*over)(void));

/* --- load.c: zones, from their source to an image to service -----------------------------------
 */

struct zones;
struct image;
struct served { /* a zone, by a number that it has until it goes */
	unsigned number, view;
	uint8_t wire[DNS_NAME_MAX]; /* lower case */
	const char *name;           /* as text; with @VIEW behind it in a view */
	const struct zone_conf *conf;
	const char *file;          /* its text; NULL: it is in the store */
	const struct image *image; /* that is served; NULL: none, queries get SERVFAIL */
	const char *image_name;    /* in the state folder */
	/* load_*.c only: */
	struct pool *pool;
	uint64_t id;      /* in the store, as it said last; 0: it is not there */
	uint64_t version; /* likewise: store_version_of() */
	bool secondary;   /* likewise: others' zone */
	uint64_t queries;
	char why[256];     /* the first mistake of the last try; "": it went well */
	bool again;        /* it is tried again by itself */
	uint64_t merge_at; /* clock_mono() when the image's overlay becomes a part of it */
	bool expired;      /* the image is not served */
	bool mismatch;     /* the parent has DS records, and none is of a key of the zone */
	bool left; /* a secondary of the store that nobody names any more: it is not served */
	bool gone; /* it goes as soon as its task is over */
	/* load_store.c only: */
	uint64_t round;      /* of the last list of zones that it was in */
	bool asked, changed; /* the store is asked about it; it has changed meanwhile */
	uint64_t not_before; /* clock_mono() when it may be compiled again */
	struct timer later;
};
/* Serves each zone's image, also an old one; begins to compile those whose source is newer. state:
 * the fd of the state folder. done: every zone is served, or failed. */
void load_start(int state, void (*done)(void));
/* What the clients of the view see. */
const struct zones *load_zones(unsigned view);
/* Numbers are below load_end(); NULL: no zone has it now. */
unsigned load_end(void);
const struct served *load_zone(unsigned number);
/* NULL: no such zone. wire: lower case. */
const struct served *load_find(const uint8_t *wire);
const struct served *load_find_in(unsigned view, const uint8_t *wire);
/* NAME, or NAME@VIEW, as typed. */
const struct served *load_find_text(const char *text);
/* The one with that name that the client sees. */
const struct served *load_seen(const struct sockaddr *client, const uint8_t *wire);
/* Compiles the zone (again), when its turn comes; force: also when its source is as it was. Further
 * calls until then are one. */
void load_again(unsigned zone, bool force);
/* Expired: queries get SERVFAIL, until it is not any more. */
void load_expire(unsigned zone, bool expired);
/* What the parent's DS records are. */
void load_mismatch(unsigned zone, bool mismatch);
/* The same with something to do for its keys: DNSSEC_REPLACE ... (dnssec.h); ds_ttl: seconds that
 * caches keep the parent's DS records, of DNSSEC_PARENT. */
void load_dnssec(unsigned zone, unsigned what, uint32_t ds_ttl);
/* Compiles it with a later serial than that one, unless it has one. */
void load_above(unsigned zone, uint32_t serial);
/* Called after each image with another serial than the one before (0: none was), or with other
 * records (of a secondary that was fetched again: both serials may be the same), except at the
 * start, when it was there. In every process. */
typedef void served_change_fn(unsigned zone, uint32_t before, uint32_t serial);
void load_changed(served_change_fn *fn);
/* A catalog names the zone from now on (conf_zone_put() was called), or no longer: it is served, or
 * is not, unless the store has it. */
void load_named(const uint8_t *wire);
/* That is over for now: secondaries of the store that neither dnsd.conf nor a catalog names are
 * not served any longer, as nobody looks after them. Not before all catalogs were read. */
void load_named_all(void);
/* fn is called when zones have come or gone, or are others of the same name; also when all of the
 * store's have been listed. */
void load_watch(void (*fn)(void));
/* A response was made for the zone with that number. */
void load_count(unsigned zone);
/* load_ctl.c: `zone list`, `zone reload [NAME]`; false: not a command of this file. */
bool load_command(struct control_call *call);
void load_stats(struct buf *out); /* the zones' counters */
/* load_store.c: the connection to the store was made, the first time or again. */
void load_store_up(void);

/* --- compile.c: a zone's records into an image; what blocks ------------------------------------
 */

struct image_maker;
struct compile {
	int state;         /* folder of the images */
	const char *image; /* its name there */
	const uint8_t *zone;
	const struct zone_conf *conf;
	const char *file;         /* of the text; NULL: it is in the store */
	struct store_link *store; /* the builder's; else the version there is known: */
	uint64_t id;              /* 0: it is not */
	uint64_t version;
	bool force;      /* also when the source is as it was */
	bool away;       /* the store is: it need not be asked */
	bool merge;      /* also when it only has an overlay, which is to go */
	uint32_t above;  /* secondaries have that serial: ours must be a later one; 0: none */
	unsigned dnssec; /* DNSSEC_TELL ...: dnssec.h */
	uint32_t ds_ttl; /* seconds, of DNSSEC_PARENT */
	/* Out: */
	bool secondary;    /* others' zone, transferred */
	struct image *out; /* NULL: it could not be done; `errors` says why */
	bool built;        /* it was compiled; else it was there */
	struct buf errors; /* lines; warnings too */
	unsigned mistakes;
	bool again;   /* what was missing may be there later: keyd */
	bool gone;    /* the store is there, and has no such zone */
	bool renewed; /* the source could not be read (`errors`): signed again as it was served */
	uint64_t ms;
};
/* The name of the zone's image in the state folder, in pool. */
const char *compile_image_name(struct pool *pool, const uint8_t *zone);
const char *compile_image_name_in(struct pool *pool, unsigned view, const uint8_t *zone);
/* Processes that want the same image build it once: the others wait, and map it. */
void compile_run(struct compile *c);
/* The image, when it is that of the source as it is now; else NULL. old (may be NULL) gets it when
 * it is of an earlier one. */
struct image *compile_fresh(struct compile *c, struct image **old);
/* A mistake, for c->errors. */
void compile_failed(struct compile *c, const char *what, const char *why);
/* compile_patch.c: names that the image's overlay may have. */
uint32_t compile_overlay_most(const struct image *i);

/* --- source.c: where records come from ----------------------------------------------------------
 */

struct image_origin;
/* Which version of the source there is now. False: there is none; *why until the next call. */
bool source_version(struct compile *c, struct image_origin *out, const char **why);
/* Its records; of the store's origin says which version they are then. False: with mistakes in c.
 */
bool source_read(struct compile *c, struct image_maker *m, struct image_origin *origin);
/* source_served.c: those of the zone as it is served, which was signed here; in place of a source
 * that cannot be read. */
bool source_served(struct compile *c, struct image_maker *m, const struct image *served);
/* source_store.c: the same of the store, in the builder. */
struct store_link;
/* path: of stored's socket, which is connected to when it is needed. */
struct store_link *store_link_new(const char *path);
/* While it is, every question fails at once. */
void store_link_away(struct store_link *l, bool away);
struct row_zone;
/* The serial is not all: a secondary may be fetched again with the one that it had. */
uint64_t store_version_of(const struct row_zone *z);
/* All zones of the store. False: *why, until the next call. */
typedef void store_row_fn(void *arg, const struct row_zone *row);
bool store_rows(struct store_link *l, store_row_fn *fn, void *arg, const char **why);
bool store_version(struct compile *c, struct image_origin *out, const char **why);
bool store_read(struct compile *c, struct image_maker *m, struct image_origin *origin);
/* The names that have changed since that version of the zone, with the records that they have now;
 * now: which version that is, *records: how many the whole zone has then. False: that is not known,
 * or they are more than `most`. */
bool store_changes(struct compile *c, struct image_maker *m, const struct image_origin *since,
		   uint32_t most, struct image_origin *now, uint64_t *records);

/* --- builder.c: the process that compiles -------------------------------------------------------
 */

struct built { /* the image is in the state folder when ok */
	unsigned mistakes;
	bool ok, built, again, renewed;
	uint64_t ms;
};
/* errors: lines. b NULL: the process has ended, and builder_ask() fails from now on. */
typedef void builder_done(const struct built *b, struct slice errors);
/* Start-up, before the sandbox and any thread: forks it. */
void builder_start(void);
void builder_watch(builder_done *done);
/* One request at a time: what compile_run() is to do for c. */
bool builder_ask(unsigned view, const struct compile *c);

/* --- parent.c: whether parents have the DS records that they should -----------------------------
 */

void parent_start(void);
/* Somebody wants to know: soon. */
void parent_look(void);

/* --- xfr_out.c: transfers to secondaries; notify_out.c: tells them of changes -------------------
 */

/* state: the fd of the state folder. */
void transfer_start(int state);
/* After load_start() and before leader_start(). */
void notify_out_start(int state);
/* `zone notify [NAME]`: notices of all zones, or the one, are sent again, by the leader; the others
 * reply with no line. False: another command. */
bool notify_command(struct control_call *call);

/* --- serial_ask.c: what secondaries have of a zone that begins anew ------------------------------
 */

/* IMAGE.begun: the image was made where none was, secondaries have not been asked yet. */
#define SERIAL_BEGUN "begun"
/* After load_start(). state: the fd of the state folder. */
void serial_ask_start(int state);

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
	uint64_t transfers;                                                   /* that go on */
	uint64_t xfr_out[3], xfr_out_octets, xfr_out_refused, xfr_out_failed; /* by enum xfr_kind */
	uint64_t notify_sent, notify_failed;
	uint64_t updates, updates_refused; /* done: also those that changed nothing */
};
extern struct stats stats;
void stats_write(struct buf *out);
#endif
