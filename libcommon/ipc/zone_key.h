/* zone_key: the client of keyd for the keys of signed zones. Blocking, with a connection of its
 * own: dnsd's builder, hamletctl. Zones are names in wire form and lower case. A connection that
 * broke (keyd was replaced) is made anew; what can be asked again without harm is. */
#ifndef IPC_ZONE_KEY_H
#define IPC_ZONE_KEY_H
#include "libcommon/ipc/msg.h"

struct zone_keys;
/* path: RUNDIR/key/ROLE.sock, connected to by the first call. timeout_ms: of a call, and of each
 * batch of signatures. */
struct zone_keys *zone_keys_client(const char *path, enum role role, unsigned timeout_ms);
void zone_keys_free(struct zone_keys **k);
/* Why the last call failed; *text (may be NULL): a line for people, valid until the next call. */
enum ipc_err zone_keys_error(const struct zone_keys *k, const char **text);

/* The zone's keys, the oldest first, in pool; NULL: zone_keys_error(). make: the algorithm (13:
 * ECDSA P-256, 15: Ed25519) of the key that is made, flags 257, when there is none; 0: make none.
 */
const struct msg_zone_keyset *zone_keys_get(struct zone_keys *k, struct pool *pool,
					    struct slice zone, uint32_t make);
/* One more key; it is the last of those returned. */
const struct msg_zone_keyset *zone_keys_new(struct zone_keys *k, struct pool *pool,
					    struct slice zone, uint32_t algorithm);
const struct msg_zone_keyset *zone_keys_set(struct zone_keys *k, struct pool *pool,
					    struct slice zone, uint64_t id, uint32_t state,
					    uint64_t until_ms);
const struct msg_zone_keyset *zone_keys_delete(struct zone_keys *k, struct pool *pool,
					       struct slice zone, uint64_t id);
/* Signs n pieces of data (msg.def: zone_data; any number, sent in batches) with the zone's key:
 * out[i] is the signature of data[i], in pool. False: not all were made; what keyd refused is empty
 * in `out` when zone_keys_error() is ERR_DENIED. */
bool zone_keys_sign(struct zone_keys *k, struct pool *pool, struct slice zone, uint64_t id,
		    const struct slice *data, size_t n, struct slice *out);
#endif
