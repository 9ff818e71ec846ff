/* Grants: what a daemon shows instead of a password. Layout, little endian:
 *   0 version 1, 1 role, 2 shard (2 bytes), 4 zero (4), 8 account, 16 epoch, 24 expires, 32 random,
 *   40 HMAC-SHA256 of the 40 bytes before
 * The key lives in the directory, so that a restarted stored knows its grants again. */
#include <gnutls/crypto.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/map.h"
#include "stored/grant.h"

enum { VERSION = 1, MAC_AT = 40, MAC_LEN = 32 };
_Static_assert(MAC_AT + MAC_LEN == GRANT_LEN, "a grant's parts");

static unsigned char mac_key[GRANT_KEY_LEN];
static struct map *epochs; /* account -> epoch */

static void put64(unsigned char *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

static uint64_t get64(const unsigned char *p)
{
	uint64_t v = 0;
	for (int i = 0; i < 8; i++)
		v |= (uint64_t)p[i] << 8 * i;
	return v;
}

void grant_key(const unsigned char key[GRANT_KEY_LEN])
{
	memcpy(mac_key, key, GRANT_KEY_LEN);
}

void grant_epoch(uint64_t account, uint64_t epoch)
{
	if (!epochs)
		epochs = map_new();
	if (epoch)
		map_set(epochs, &account, sizeof(account), (void *)(uintptr_t)epoch);
}

uint64_t grant_epoch_now(uint64_t account)
{
	if (is_local_user(account))
		return conf.local_submission ? LOCAL_EPOCH : 0;
	return epochs ? (uint64_t)(uintptr_t)map_get(epochs, &account, sizeof(account)) : 0;
}

void grant_end(uint64_t account)
{
	if (epochs)
		map_del(epochs, &account, sizeof(account));
}

void grant_reset(void)
{
	map_free(&epochs);
}

static bool mac(const unsigned char *p, unsigned char out[MAC_LEN])
{
	return gnutls_hmac_fast(GNUTLS_MAC_SHA256, mac_key, sizeof(mac_key), p, MAC_AT, out) == 0;
}

size_t grant_make(const struct grant *g, unsigned char out[GRANT_LEN])
{
	memset(out, 0, GRANT_LEN);
	out[0] = VERSION;
	out[1] = (unsigned char)g->role;
	out[2] = (unsigned char)g->shard;
	out[3] = (unsigned char)(g->shard >> 8);
	put64(out + 8, g->account);
	put64(out + 16, g->epoch);
	put64(out + 24, g->expires_ms);
	id_random(out + 32, 8);
	return mac(out, out + MAC_AT) ? GRANT_LEN : 0;
}

bool grant_check(struct slice s, enum role role, struct grant *out)
{
	const unsigned char *p = (const unsigned char *)s.p;
	unsigned char good[MAC_LEN];
	if (s.len != GRANT_LEN || p[0] != VERSION || !mac(p, good) ||
	    !str_eq_secret(good, p + MAC_AT, MAC_LEN))
		return false;
	struct grant g = {.role = (enum role)p[1],
			  .shard = p[2] | (unsigned)p[3] << 8,
			  .account = get64(p + 8),
			  .epoch = get64(p + 16),
			  .expires_ms = get64(p + 24)};
	if (g.role != role || g.expires_ms <= clock_ms() || g.epoch != grant_epoch_now(g.account) ||
	    g.epoch == 0)
		return false;
	*out = g;
	return true;
}
