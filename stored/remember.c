/* Right passwords of the last minute. What is kept of one is an HMAC under a key that this
 * process made and nobody else has: of no use to who reads it. */
#include <gnutls/crypto.h>
#include <stdlib.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/map.h"
#include "libcommon/base/mem.h"
#include "stored/auth.h"
#include "stored/grant.h"

enum { REMEMBER_MAX = 16384 };

struct entry {
	struct list link; /* by last use */
	unsigned char key[32];
	uint64_t account, epoch, until_ms;
};

static struct map *entries;
static struct list age;
static unsigned char secret[32];

static bool key_of(struct slice name, struct slice password, unsigned char key[32])
{
	unsigned char text[2 + 512 + PASSWORD_MAX];
	if (name.len > 512 || password.len > PASSWORD_MAX || password.len == 0 || name.len == 0)
		return false;
	text[0] = (unsigned char)(name.len >> 8);
	text[1] = (unsigned char)name.len;
	memcpy(text + 2, name.p, name.len);
	memcpy(text + 2 + name.len, password.p, password.len);
	int e = gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, sizeof(secret), text,
				 2 + name.len + password.len, key);
	explicit_bzero(text, sizeof(text));
	return e == 0;
}

static void drop(struct entry *e)
{
	map_del(entries, e->key, sizeof(e->key));
	list_del(&e->link);
	free(e);
}

uint64_t remember_find(struct slice name, struct slice password)
{
	unsigned char key[32];
	if (!entries || !key_of(name, password, key))
		return 0;
	struct entry *e = map_get(entries, key, sizeof(key));
	if (!e)
		return 0;
	if (e->until_ms <= clock_ms() || e->epoch != grant_epoch_now(e->account)) {
		drop(e);
		return 0;
	}
	e->until_ms = clock_ms() + conf.auth_remember;
	list_del(&e->link);
	list_add_tail(&age, &e->link);
	return e->account;
}

void remember_add(struct slice name, struct slice password, uint64_t account)
{
	unsigned char key[32];
	if (!entries) {
		entries = map_new();
		list_init(&age);
		id_random(secret, sizeof(secret));
	}
	if (conf.auth_remember == 0 || !key_of(name, password, key))
		return;
	struct entry *e = map_get(entries, key, sizeof(key));
	if (e)
		drop(e);
	else if (map_count(entries) >= REMEMBER_MAX)
		drop(list_entry(age.next, struct entry, link));
	e = mem_alloc(sizeof(*e));
	*e = (struct entry){.account = account,
			    .epoch = grant_epoch_now(account),
			    .until_ms = clock_ms() + conf.auth_remember};
	memcpy(e->key, key, sizeof(key));
	list_add_tail(&age, &e->link);
	map_set(entries, key, sizeof(key), e);
}

void remember_reset(void)
{
	while (entries && !list_empty(&age))
		drop(list_entry(age.next, struct entry, link));
	map_free(&entries);
}
