#include "libcommon/ipc/uplink.h"
#include "libcommon/base/log.h"
#include "libcommon/ipc/key.h"
#include "libcommon/ipc/store.h"
#include "libcommon/net/daemon.h"
#include "libcommon/net/loop.h"

enum { START_MS = 3000 };

static struct {
	struct peer *store;
	struct tls_keys *keys;
	struct tls_ctx *tls;
	struct timer late;
	void (*on_store)(void), (*on_keys)(void);
	bool says_ready;
} up;
static uplink_call_fn *call = peer_call;

static void be_ready(void)
{
	timer_clear(&up.late);
	daemon_ready();
}

static void on_late(struct timer *t)
{
	(void)t;
	log_event(LOG_LV_WARN, NULL, "starting-without", LU("store", peer_up(up.store)),
		  LU("certificate", key_client_ready(up.keys)));
	be_ready();
}

static void check_ready(void)
{
	if (up.says_ready && up.store && up.keys && peer_up(up.store) && key_client_ready(up.keys))
		be_ready();
}

static void on_store_up(struct peer *p, void *arg)
{
	(void)p;
	(void)arg;
	if (up.on_store)
		up.on_store();
	check_ready();
}

static void on_keys(void *arg)
{
	(void)arg;
	if (up.on_keys)
		up.on_keys();
	check_ready();
}

static const char *key_socket(struct pool *pool, enum role role)
{
	return pool_printf(pool, "%s/key/%s.sock", daemon_rundir(), role_name(role));
}

static void keys_start(struct pool *pool, enum role role, const char *const *alpn)
{
	up.keys = key_client(key_socket(pool, role), role, on_keys, NULL);
	up.tls = tls_server_ctx(up.keys, alpn);
}

void uplink_tls_start(enum role role, const char *const *alpn, void (*on_change)(void))
{
	struct pool *pool = pool_new(0);
	up.on_keys = on_change;
	keys_start(pool, role, alpn);
	pool_free(&pool);
}

void uplink_start(enum role role, const char *const *alpn, void (*on_store)(void))
{
	struct pool *pool = pool_new(0);
	up.on_store = on_store;
	up.store = store_client(role, on_store_up, NULL);
	keys_start(pool, role, alpn);
	up.says_ready = true;
	timer_set(&up.late, START_MS, on_late);
	pool_free(&pool);
}

void uplink_store_start(enum role role, void (*on_store)(void))
{
	up.on_store = on_store;
	up.store = store_client(role, on_store_up, NULL);
}

void uplink_use(uplink_call_fn *fn)
{
	call = fn;
}

uint32_t uplink_call(enum msg_type t, const void *msg, peer_reply_fn *fn, void *arg)
{
	return call(up.store, t, msg, fn, arg);
}

struct peer *uplink_store(void)
{
	return up.store;
}

struct tls_ctx *uplink_tls(void)
{
	return up.tls;
}

bool uplink_tls_ready(void)
{
	return up.tls && tls_ctx_ready(up.tls);
}

void uplink_sandbox(struct pool *pool, enum role role, struct sandbox *out)
{
	const char **sockets = pool_alloc(pool, 3 * sizeof(*sockets));
	sockets[0] = store_socket(pool, role);
	sockets[1] = key_socket(pool, role);
	out->sockets = sockets;
}

void uplink_tls_sandbox(struct pool *pool, enum role role, struct sandbox *out)
{
	const char **sockets = pool_alloc(pool, 2 * sizeof(*sockets));
	sockets[0] = key_socket(pool, role);
	out->sockets = sockets;
}
