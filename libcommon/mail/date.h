/* date: date-times of mail (RFC 5322), the obsolete forms and those of the wild included. */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H
#include <stdbool.h>
#include <stdint.h>
#include "libcommon/base/str.h"

struct date {
	int64_t sec; /* since 1970, UTC */
	int zone;    /* minutes east of UTC, as the writer had it */
};
/* Reads a Date field's value (folded or not). Unknown zones count as UTC. False when no date can
 * be made of it. */
bool date_parse(struct slice s, struct date *out);
/* Reads "2026-11-24T12:00:00Z" and just that form: RFC 3339's date-time, with a fraction of the
 * second (passed over) and "+01:00" for the Z if it likes. False when it is anything else. */
bool date_rfc3339(struct slice s, struct date *out);

#endif
