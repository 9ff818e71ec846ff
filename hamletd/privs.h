/* What jail.c asks of privs.c, in the child before exec. */
#ifndef HAMLETD_PRIVS_H
#define HAMLETD_PRIVS_H
#include "hamletd/hamletd.h"

/* "<3>... jail: WHAT PATH: errno" on stderr, which the parent logs; returns false. */
bool privs_say(const char *what, const char *path);
/* Limits, user, groups, capabilities. False after a line on stderr. */
bool privs_drop(const struct jail *j);
/* Whether this process may change users at all. */
bool privs_can_ids(void);
#endif
