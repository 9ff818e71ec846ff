/* Reads journals. */
#include "dnsd/image/journal.h"
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "dnsd/image/journal_int.h"
#include "libcommon/base/mem.h"

uint64_t journal_sum(const void *p, size_t len)
{
	static const uint8_t key[SIP_KEY] = "a zone's journal";
	return sip13(key, p, len);
}

bool journal_name(char *out, size_t cap, const char *image_name, const char *suffix)
{
	static const char image[] = ".image";
	size_t len = strlen(image_name), cut = sizeof(image) - 1;
	if (len > cut && strcmp(image_name + len - cut, image) == 0)
		len -= cut;
	return str_fmt(out, cap, "%.*s.journal%s", (int)len, image_name, suffix);
}

struct journal *journal_from(const void *p, size_t len, const uint8_t *zone)
{
	struct journal_head h;
	if (len < sizeof(h))
		return NULL;
	memcpy(&h, p, sizeof(h));
	if (memcmp(h.magic, JOURNAL_MAGIC, sizeof(h.magic)) != 0 || h.version != JOURNAL_VERSION ||
	    h.order != JOURNAL_ORDER || !dns_name_check(h.zone, DNS_NAME_MAX) ||
	    !dns_name_eq(h.zone, zone))
		return NULL;
	struct journal *j = mem_alloc(sizeof(*j));
	j->p = p;
	j->size = len;
	return j;
}

struct journal *journal_open(int folder, const char *image_name, const uint8_t *zone)
{
	char name[NAME_MAX + 1];
	struct journal *j = NULL;
	struct stat st;
	if (!journal_name(name, sizeof(name), image_name, ""))
		return NULL;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return NULL;
	if (fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof(struct journal_head)) {
		size_t size = (size_t)st.st_size;
		void *p = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, 0);
		if (p != MAP_FAILED) {
			j = journal_from(p, size, zone);
			if (j)
				j->mapped = true;
			else
				munmap(p, size);
		}
	}
	close(fd);
	return j;
}

void journal_close(struct journal **j)
{
	if (!*j)
		return;
	if ((*j)->mapped)
		munmap((void *)(uintptr_t)(*j)->p, (*j)->size);
	free(*j);
	*j = NULL;
}

bool journal_step(const struct journal *j, size_t *at, struct step_head *out)
{
	if (j->size - *at < sizeof(*out))
		return false;
	memcpy(out, j->p + *at, sizeof(*out));
	if (out->sum != journal_sum(&out->from, sizeof(*out) - sizeof(out->sum)) ||
	    out->size > j->size - *at - sizeof(*out))
		return false;
	*at += sizeof(*out) + (size_t)out->size;
	return true;
}

/* A serial may come again after the zone went a long way round: the last steps count. */
bool journal_find(const struct journal *j, uint32_t from, uint32_t to, struct journal_steps *out)
{
	struct step_head h;
	uint32_t last = 0;
	unsigned steps = 0, found = 0;
	size_t at = sizeof(struct journal_head), begin = 0, start = 0, end = 0;
	for (size_t next = at; journal_step(j, &next, &h); at = next) {
		if (steps && h.from != last)
			steps = 0;
		if (h.from == from) {
			begin = at;
			steps = 0;
		}
		if (h.from == from || steps)
			steps++;
		last = h.to;
		if (steps && h.to == to) {
			start = begin;
			end = next;
			found = steps;
		}
	}
	*out = (struct journal_steps){.octets = end - start,
				      .steps = found,
				      .j = j,
				      .at = start,
				      .chunk_end = start,
				      .end = end};
	return found > 0;
}

/* Opens the next chunk of the steps, across the heads of these. */
static bool next_chunk(struct journal_steps *s)
{
	struct chunk_head c;
	struct step_head h;
	while (s->at < s->end && s->at == s->chunk_end) {
		size_t next = s->at;
		if (!journal_step(s->j, &next, &h))
			return false;
		s->at += sizeof(h);
		s->chunk_end = next;
	}
	if (s->chunk_end - s->at < sizeof(c))
		return false;
	memcpy(&c, s->j->p + s->at, sizeof(c));
	s->at += sizeof(c);
	if (c.size > s->chunk_end - s->at || c.sum != journal_sum(s->j->p + s->at, (size_t)c.size))
		return false;
	zone_chunk_open(&s->chunk, (struct slice){(const char *)s->j->p + s->at, (size_t)c.size});
	s->at += (size_t)c.size;
	return true;
}

bool journal_next(struct journal_steps *s, struct zone_rr *out)
{
	while (!s->bad) {
		if (s->chunk.p && zone_chunk_next(&s->chunk, out)) {
			s->bad = !dns_rdata_check(out->type, out->rdata, out->rdlen);
			return !s->bad;
		}
		if (s->chunk.p && s->chunk.bad)
			s->bad = true;
		else if (s->at == s->end)
			return false;
		else
			s->bad = !next_chunk(s);
	}
	return false;
}
