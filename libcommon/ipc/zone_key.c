#include "libcommon/ipc/zone_key.h"
#include <stdlib.h>
#include "libcommon/base/mem.h"
#include "libcommon/ipc/peer.h"

/* A batch: large enough that its two ways cost nothing beside its signatures, small enough that
 * keyd is not held up by one client and answers in a fraction of a second. */
enum { TRIES = 3, BATCH_ROWS = 1000, BATCH_BYTES = 1 << 20, WHY_LEN = 200 };

struct zone_keys {
	char *path;
	enum role role;
	unsigned timeout_ms;
	struct peer_sync *sync; /* NULL: to be opened */
	enum ipc_err error;
	char why[WHY_LEN];
};

struct zone_keys *zone_keys_client(const char *path, enum role role, unsigned timeout_ms)
{
	struct zone_keys *k = mem_alloc(sizeof(*k));
	k->path = mem_strdup(path);
	k->role = role;
	k->timeout_ms = timeout_ms;
	return k;
}

void zone_keys_free(struct zone_keys **kp)
{
	struct zone_keys *k = *kp;
	if (!k)
		return;
	peer_sync_close(&k->sync);
	free(k->path);
	free(k);
	*kp = NULL;
}

enum ipc_err zone_keys_error(const struct zone_keys *k, const char **text)
{
	if (text)
		*text = k->why;
	return k->error;
}

static void *failed(struct zone_keys *k, enum ipc_err e, struct slice text)
{
	k->error = e;
	str_fmt(k->why, sizeof(k->why), "keyd: %.*s", SLICE_FMT(text));
	return NULL;
}

/* The answer of type `want`; NULL: zone_keys_error(). */
static const void *ask(struct zone_keys *k, struct pool *pool, enum msg_type t, const void *msg,
		       enum msg_type want, int tries)
{
	for (;;) {
		const char *why = NULL;
		enum msg_type type;
		struct slice text;
		if (!k->sync)
			k->sync = peer_sync_open(k->path, k->role, k->timeout_ms, &why);
		if (!k->sync)
			return failed(k, ERR_LOST, slice_of(why));
		const void *m = peer_sync_call(k->sync, pool, t, msg, &type, NULL);
		enum ipc_err e = peer_error(type, m, &text);
		if (e == ERR_OK && type == want) {
			k->error = ERR_OK;
			k->why[0] = 0;
			return m;
		}
		if (e == ERR_OK)
			return failed(k, ERR_BAD, SLICE("an answer of another kind"));
		if (e == ERR_LOST || e == ERR_TEMP) /* of no more use after a time-out */
			peer_sync_close(&k->sync);
		if (e != ERR_LOST || --tries == 0)
			return failed(k, e, text);
	}
}

const struct msg_zone_keyset *zone_keys_get(struct zone_keys *k, struct pool *pool,
					    struct slice zone, uint32_t make)
{
	const struct msg_zone_keys m = {.zone = zone, .make = make};
	return ask(k, pool, MSG_zone_keys, &m, MSG_zone_keyset, TRIES);
}

const struct msg_zone_keyset *zone_keys_new(struct zone_keys *k, struct pool *pool,
					    struct slice zone, uint32_t algorithm)
{
	const struct msg_zone_key_new m = {.zone = zone, .algorithm = algorithm};
	/* Asked twice it would make two: a connection that broke long ago must be seen before. */
	if (!zone_keys_get(k, pool, zone, 0))
		return NULL;
	return ask(k, pool, MSG_zone_key_new, &m, MSG_zone_keyset, 1);
}

const struct msg_zone_keyset *zone_keys_set(struct zone_keys *k, struct pool *pool,
					    struct slice zone, uint64_t id, uint32_t state,
					    uint64_t until_ms)
{
	const struct msg_zone_key_set m = {
	    .zone = zone, .id = id, .state = state, .until_ms = until_ms};
	return ask(k, pool, MSG_zone_key_set, &m, MSG_zone_keyset, TRIES);
}

const struct msg_zone_keyset *zone_keys_delete(struct zone_keys *k, struct pool *pool,
					       struct slice zone, uint64_t id)
{
	const struct msg_zone_key_delete m = {.zone = zone, .id = id};
	return ask(k, pool, MSG_zone_key_delete, &m, MSG_zone_keyset, TRIES);
}

/* How many of the next pieces make a batch. */
static uint32_t batch(const struct slice *data, size_t n, struct row_zone_data *rows)
{
	uint32_t i = 0;
	for (size_t bytes = 0; i < n && i < BATCH_ROWS; i++) {
		bytes += data[i].len;
		if (i && bytes > BATCH_BYTES)
			break;
		rows[i].data = data[i];
	}
	return i;
}

bool zone_keys_sign(struct zone_keys *k, struct pool *pool, struct slice zone, uint64_t id,
		    const struct slice *data, size_t n, struct slice *out)
{
	static const char refused[] = "refuses to sign that";
	struct row_zone_data *rows = pool_alloc(pool, BATCH_ROWS * sizeof(*rows));
	bool all = true;
	for (size_t at = 0; at < n;) {
		struct msg_zone_sign m = {.zone = zone, .id = id, .data = rows};
		m.data_n = batch(data + at, n - at, rows);
		const struct msg_zone_signed *s =
		    ask(k, pool, MSG_zone_sign, &m, MSG_zone_signed, TRIES);
		if (!s)
			return false;
		if (s->signatures_n != m.data_n) {
			failed(k, ERR_BAD, SLICE("another number of signatures"));
			return false;
		}
		for (uint32_t i = 0; i < m.data_n; i++) {
			out[at + i] = s->signatures[i].signature;
			all = all && out[at + i].len;
		}
		at += m.data_n;
	}
	if (!all)
		failed(k, ERR_DENIED, slice_of(refused));
	return all;
}
