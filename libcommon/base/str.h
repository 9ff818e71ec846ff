/* str: byte slices and the small text helpers that every parser needs.
 * A slice does not own its bytes and has no NUL at its end. */
#ifndef BASE_STR_H
#define BASE_STR_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
	const char *p;
	size_t len;
};

#define SLICE(lit)   ((struct slice){(lit), sizeof(lit) - 1})
#define SLICE_FMT(s) (int)(s).len, (s).p /* for "%.*s" */

static inline struct slice slice_of(const char *s)
{
	return (struct slice){s, s ? strlen(s) : 0};
}

bool slice_eq(struct slice a, struct slice b);
bool slice_ieq(struct slice a, struct slice b); /* ASCII case ignored */
bool slice_eqs(struct slice a, const char *s);
bool slice_ieqs(struct slice a, const char *s);
bool slice_starts(struct slice a, const char *prefix);
bool slice_istarts(struct slice a, const char *prefix);
struct pool;
/* A copy in pool, with a NUL behind it. */
struct slice slice_copy(struct pool *pool, struct slice s);
/* Overwrites the bytes, of a password or a key that stood there. */
void slice_wipe(struct slice s);
struct slice slice_trim(struct slice s); /* spaces and tabs at both ends */
/* Cuts the next word (separated by spaces or tabs) off *rest; empty when none is left. */
struct slice slice_word(struct slice *rest);
/* Cuts up to the separator off *rest (which then starts behind it). */
struct slice slice_cut(struct slice *rest, char sep);

/* Whole slice as a decimal number without sign; false on any other byte or overflow. */
bool str_u64(struct slice s, uint64_t *out);
bool str_u32(struct slice s, uint32_t *out);
/* "64K" "25M" "1G" or plain bytes. */
bool str_size(struct slice s, uint64_t *out);
/* "30s" "5m" "2h" "14d" "250ms" into milliseconds; a bare number is refused but 0. */
bool str_duration(struct slice s, uint64_t *ms);

char str_lower(char c);
void str_lowern(char *s, size_t n);
bool str_utf8(struct slice s);  /* well-formed UTF-8 (no overlong, no surrogates) */
bool str_ascii(struct slice s); /* no byte over 127 */
bool str_print(struct slice s); /* no control bytes (UTF-8 bytes allowed) */
/* Whether byte i is a control that a terminal obeys: of ASCII, or part of one that UTF-8 has beyond
 * it (U+0080 to U+009F). */
bool str_control_at(struct slice s, size_t i);

/* Writes 2n+1 characters with the NUL. */
void str_hex(char *out, const void *p, size_t n);
/* out_cap is enough at 4*((n+2)/3)+1; returns the length without the NUL. */
size_t str_base64(char *out, const void *p, size_t n);
/* Strict (RFC 4648 section 4, padding required); out needs 3*(len/4); -1 when malformed. */
long str_base64_decode(void *out, struct slice in);
/* snprintf that always terminates; false when cut short. */
bool str_fmt(char *out, size_t cap, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* Compares without telling by time where the difference is. */
bool str_eq_secret(const void *a, const void *b, size_t n);
/* Damerau-Levenshtein distance, at most `max`+1: for "did you mean". */
unsigned str_distance(const char *a, const char *b, unsigned max);

#endif
