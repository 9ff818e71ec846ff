/* The table is shared by the processes of a service: an array of buckets, each of 8 slots under
 * a spin lock of its own. A slot holds an address, its connections per process, and one token
 * bucket. A process that died while holding a lock is found by its silence: the lock is taken
 * over after LOCK_SPINS tries, since nothing here holds it for longer than a few stores. */
#include "libcommon/net/limits.h"
#include <netinet/in.h>
#include <sched.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "libcommon/base/clock.h"
#include "libcommon/base/id.h"
#include "libcommon/base/mem.h"

enum { WAYS = 8, LOCK_SPINS = 100000, PAGE_MOST = 64 << 10 };

struct slot {
	unsigned char key[17]; /* family (4, 6, 1 for local; 0: unused), address or uid */
	uint32_t tokens_used;  /* in the window */
	uint64_t window_start; /* ms */
	uint64_t last_used;    /* ms, for giving way */
	uint16_t count[LIMITS_PROCS];
};
struct bucket {
	atomic_uint lock;
	struct slot slot[WAYS];
};
struct shared {
	uint64_t key[2]; /* of the hash: the same for all processes */
	atomic_uint ready;
	uint32_t buckets;
	struct bucket bucket[];
};
struct limits {
	struct shared *mem;
	size_t size;
	unsigned proc;
	uint32_t buckets; /* as computed here: the shared number is never trusted */
};

static uint32_t buckets_for(unsigned slots)
{
	uint32_t n = 1;
	while (n * WAYS < slots && n < 1u << 20)
		n *= 2;
	return n;
}

static size_t table_size(unsigned slots)
{
	return sizeof(struct shared) + buckets_for(slots) * sizeof(struct bucket);
}

/* Where any page may begin. */
static size_t area_at(unsigned slots)
{
	return (table_size(slots) + PAGE_MOST - 1) / PAGE_MOST * PAGE_MOST;
}

size_t limits_size(unsigned slots)
{
	return area_at(slots) + LIMITS_AREA;
}

void *limits_area(int fd, unsigned slots, size_t size)
{
	struct stat st;
	bool room = fd >= 0 && size <= LIMITS_AREA && fstat(fd, &st) == 0 &&
		    (size_t)st.st_size >= limits_size(slots);
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE,
			 room ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS, room ? fd : -1,
			 room ? (off_t)area_at(slots) : 0);
	return mem == MAP_FAILED ? NULL : mem;
}

static void lock(struct bucket *b)
{
	unsigned spins = 0;
	while (atomic_exchange_explicit(&b->lock, 1, memory_order_acquire) && spins++ < LOCK_SPINS)
		if (spins % 64 == 0)
			sched_yield();
}

static void unlock(struct bucket *b)
{
	atomic_store_explicit(&b->lock, 0, memory_order_release);
}

static void forget_range(struct limits *l, size_t from, size_t to)
{
	size_t first = offsetof(struct shared, bucket);
	size_t i = from > first ? (from - first) / sizeof(struct bucket) : 0;
	for (; i < l->buckets && first + i * sizeof(struct bucket) < to; i++) {
		struct bucket *b = &l->mem->bucket[i];
		lock(b);
		for (int k = 0; k < WAYS; k++)
			b->slot[k].count[l->proc] = 0;
		unlock(b);
	}
}

/* What this process index counted before. Only parts of the table that were ever used are looked
 * at: looking makes them take memory. */
static void forget_all(struct limits *l, int fd)
{
	off_t from = 0, to;
	while ((from = lseek(fd, from, SEEK_DATA)) >= 0) {
		to = lseek(fd, from, SEEK_HOLE);
		if (to <= from)
			break;
		forget_range(l, (size_t)from, (size_t)to);
		from = to;
	}
}

struct limits *limits_open(int fd, unsigned slots, unsigned proc)
{
	size_t size = table_size(slots);
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, flags, fd, 0);
	if (mem == MAP_FAILED)
		return NULL;
	struct limits *l = mem_alloc(sizeof(*l));
	*l = (struct limits){mem, size, proc % LIMITS_PROCS, buckets_for(slots)};
	unsigned fresh = 0;
	if (atomic_compare_exchange_strong(&l->mem->ready, &fresh, 1)) {
		id_random(l->mem->key, sizeof(l->mem->key));
		atomic_store(&l->mem->ready, 2);
	}
	while (atomic_load(&l->mem->ready) != 2)
		sched_yield();
	if (fd >= 0)
		forget_all(l, fd);
	return l;
}

void limits_close(struct limits **l)
{
	if (!*l)
		return;
	munmap((*l)->mem, (*l)->size);
	free(*l);
	*l = NULL;
}

static void key_of(const struct sockaddr *sa, unsigned char key[17])
{
	memset(key, 0, 17);
	if (sa->sa_family == AF_INET) {
		key[0] = 4;
		memcpy(key + 1, &((const struct sockaddr_in *)(const void *)sa)->sin_addr, 4);
	} else if (sa->sa_family == AF_INET6) {
		const struct in6_addr *a =
		    &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
		bool mapped = IN6_IS_ADDR_V4MAPPED(a);
		key[0] = mapped ? 4 : 6;
		memcpy(key + 1, a->s6_addr + (mapped ? 12 : 0), mapped ? 4 : 8); /* by /64 */
	} else {
		const struct sockaddr_local *a = (const struct sockaddr_local *)(const void *)sa;
		key[0] = 1;
		memcpy(key + 1, &a->uid, sizeof(a->uid));
	}
}

/* A keyed mix of the 17 bytes; 64-bit multiplications, as strong as a table of counters needs. */
static uint64_t hash(const struct limits *l, const unsigned char key[17])
{
	uint64_t a, b, h;
	memcpy(&a, key, 8);
	memcpy(&b, key + 8, 8);
	h = (a ^ l->mem->key[0]) * 0x9e3779b97f4a7c15u;
	h ^= h >> 29;
	h = (h ^ b ^ l->mem->key[1]) * 0xbf58476d1ce4e5b9u;
	h ^= h >> 32;
	h = (h + key[16]) * 0x94d049bb133111ebu;
	return h ^ h >> 31;
}

static uint32_t total(const struct slot *s)
{
	uint32_t n = 0;
	for (int i = 0; i < LIMITS_PROCS; i++)
		n += s->count[i];
	return n;
}

/* The address's slot in its locked bucket; with `make` the least recently used one gives way,
 * one without connections first. */
static struct slot *slot_find(struct limits *l, const struct sockaddr *sa, bool make,
			      struct bucket **locked)
{
	unsigned char key[17];
	key_of(sa, key);
	struct bucket *b = &l->mem->bucket[hash(l, key) & (l->buckets - 1)];
	struct slot *old = NULL;
	bool old_busy = true;
	lock(b);
	*locked = b;
	uint64_t now = clock_mono();
	for (int i = 0; i < WAYS; i++) {
		struct slot *s = &b->slot[i];
		if (memcmp(s->key, key, sizeof(key)) == 0) {
			s->last_used = now;
			return s;
		}
		bool busy = s->key[0] && total(s) > 0;
		if (!old || (old_busy && !busy) ||
		    (old_busy == busy && s->last_used < old->last_used)) {
			old = s;
			old_busy = busy;
		}
	}
	if (!make)
		return NULL;
	memset(old, 0, sizeof(*old));
	memcpy(old->key, key, sizeof(key));
	old->last_used = now;
	return old;
}

bool limits_connect(struct limits *l, const struct sockaddr *sa, uint32_t max)
{
	struct bucket *b;
	struct slot *s = slot_find(l, sa, true, &b);
	bool ok = (!max || total(s) < max) && s->count[l->proc] < UINT16_MAX;
	if (ok)
		s->count[l->proc]++;
	unlock(b);
	return ok;
}

void limits_disconnect(struct limits *l, const struct sockaddr *sa)
{
	struct bucket *b;
	struct slot *s = slot_find(l, sa, false, &b);
	if (s && s->count[l->proc])
		s->count[l->proc]--;
	unlock(b);
}

bool limits_rate(struct limits *l, const struct sockaddr *sa, uint32_t rate, uint64_t per_ms)
{
	struct bucket *b;
	struct slot *s = slot_find(l, sa, true, &b);
	uint64_t now = clock_mono();
	/* Tokens come back one by one, per_ms / rate apart. */
	uint64_t apart = rate ? per_ms / rate : per_ms;
	uint64_t back = apart ? (now - s->window_start) / apart : rate;
	if (back >= s->tokens_used) {
		s->tokens_used = 0;
		s->window_start = now;
	} else {
		s->tokens_used -= (uint32_t)back;
		s->window_start += back * apart;
	}
	bool ok = s->tokens_used < rate;
	if (ok)
		s->tokens_used++;
	unlock(b);
	return ok;
}

uint32_t limits_count(struct limits *l, const struct sockaddr *sa)
{
	struct bucket *b;
	struct slot *s = slot_find(l, sa, false, &b);
	uint32_t n = s ? total(s) : 0;
	unlock(b);
	return n;
}
