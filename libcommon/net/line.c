#include "libcommon/net/line.h"

/* The first byte that may not stand inside a line, or the end. memchr is much faster than a
 * loop over bytes, so each kind is looked for on its own, in ever shorter ranges. */
static size_t first_of(const char *p, size_t n, char c)
{
	const char *at = n ? memchr(p, c, n) : NULL;
	return at ? (size_t)(at - p) : n;
}

enum line_result line_next(struct slice in, size_t max, struct slice *line, size_t *used)
{
	size_t n = in.len < max ? in.len : max;
	size_t lf = first_of(in.p, n, '\n');
	size_t cr = first_of(in.p, lf, '\r');
	size_t nul = first_of(in.p, cr, 0);
	if (nul < cr) {
		*used = nul + 1;
		return LINE_NUL;
	}
	if (cr < lf && cr + 1 < lf) { /* something else follows the CR */
		*used = cr + 1;
		return LINE_BARE_CR;
	}
	if (lf < n) {
		*used = lf + 1;
		if (cr == lf)
			return LINE_BARE_LF;
		*line = (struct slice){in.p, cr};
		return LINE_OK;
	}
	if (in.len < max)
		return LINE_MORE;
	*used = max;
	return LINE_LONG;
}

const char *line_why(enum line_result r)
{
	static const char *const WHY[] = {
	    [LINE_OK] = "nothing",      [LINE_MORE] = "no end",     [LINE_LONG] = "too long",
	    [LINE_BARE_CR] = "bare CR", [LINE_BARE_LF] = "bare LF", [LINE_NUL] = "NUL"};
	return WHY[r];
}

size_t line_skip(struct slice in, bool *ended)
{
	size_t lf = first_of(in.p, in.len, '\n');
	*ended = lf < in.len;
	return *ended ? lf + 1 : in.len;
}
