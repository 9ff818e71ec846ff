/* Parameters of MAIL and RCPT from anybody: what is taken is within its limits, and points into
 * the line. */
#include <stdlib.h>
#include "smtpd/smtpd.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void within(struct slice part, struct slice line, size_t max)
{
	if (part.len && (part.p < line.p || part.p + part.len > line.p + line.len))
		abort();
	if (part.len > max)
		abort();
}

static void try_line(struct slice line, unsigned which)
{
	struct mail_params p;
	const struct reply *no = params_parse(line, which, &p);
	if (no) {
		if (no->code / 100 != 5 || !no->status)
			abort();
		return;
	}
	within(p.envid, line, 100);
	within(p.orcpt, line, 500);
	if (p.hold_for_ms && p.hold_until_ms)
		abort();
	if (p.hold_for_ms > 999999999000u || p.hold_until_ms > INT64_MAX)
		abort();
	if (p.by_ms > 999999999000 || p.by_ms < -999999999000)
		abort();
	/* Returned, yet never on time. */
	if (p.has_by && p.by_ms <= 0 && !(p.flags & DELIVER_BY_NOTIFY))
		abort();
	if ((p.notify & NOTIFY_NEVER) && p.notify != NOTIFY_NEVER)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct slice line = {(const char *)data, len};
	try_line(line, PARAM_MAIL);
	try_line(line, PARAM_RCPT);
	return 0;
}
