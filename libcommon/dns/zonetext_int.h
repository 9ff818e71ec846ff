/* zonetext_int: what the parts of the zone file reader share. zonetext_scan.c cuts entries into
 * words, zonetext.c makes records of them, zonetext_directive.c and zonetext_generate.c do what
 * begins with a dollar, zonetext_file.c opens files and tells mistakes. */
#ifndef DNS_ZONETEXT_INT_H
#define DNS_ZONETEXT_INT_H
#include "libcommon/dns/zonetext.h"

/* A text being read. An entry always begins where a line does. */
struct zone_text {
	const char *name;
	const char *p, *end; /* what is still to be read */
	unsigned line;       /* of p */
};

struct zone_reader {
	const struct zonetext *z;
	struct zone_text *text;
	unsigned errors, depth, includes;
	bool stop; /* nothing more is to be read */

	/* The entry. */
	struct dns_word *word;
	size_t words, room; /* used, allocated; ZONETEXT_WORDS at most */
	bool blank;         /* its line begins with a blank: the owner is the one before */
	const char *entry;  /* where it begins */
	unsigned line;      /* there */

	/* What entries leave to those behind them. */
	uint8_t origin[DNS_NAME_MAX], owner[DNS_NAME_MAX];
	bool has_owner;
	bool owner_bad; /* the last owner was a mistake, which was told: its records are dropped */
	bool origin_in; /* the origin is in the zone */
	bool has_default; /* a $TTL */
	bool has_last;    /* a record with a TTL */
	bool has_soa;
	uint32_t default_ttl, last_ttl, soa_minimum;

	bool generating;
	uint32_t generated; /* the number that $GENERATE is at */
	uint8_t rdata[DNS_RDATA_MAX];
	char scratch[65536]; /* the words that $GENERATE made */
};

/* Reads the next entry that has words; false: the text ends. */
bool zone_scan(struct zone_reader *r);
/* Everything that is left of r->text. */
void zone_read(struct zone_reader *r);
/* A record of these words; blank: the owner's is not among them. */
void zone_record(struct zone_reader *r, const struct dns_word *w, size_t words, bool blank);
/* An entry whose first word begins with a dollar. */
void zone_directive(struct zone_reader *r);
void zone_generate(struct zone_reader *r);
/* Reads a file as if it stood here, its own origin and owner ending with it; at: the word to blame
 * when it cannot be read. */
void zone_include(struct zone_reader *r, const char *path, const char *at);
/* A mistake at `at`, a place in the entry (any other: the entry's line is told alone). */
void zone_error(struct zone_reader *r, const char *at, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same about a word: `"word": why`, and the type before it where that is told. */
void zone_error_word(struct zone_reader *r, const struct dns_word *w, const char *type,
		     const char *why);
void zone_set_origin(struct zone_reader *r, const uint8_t *origin);
#endif
