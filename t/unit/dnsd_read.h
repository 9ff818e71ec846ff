/* dnsd.conf from a few lines of text. */
#ifndef T_DNSD_READ_H
#define T_DNSD_READ_H
#include <stdio.h>
#include <stdlib.h>
#include "dnsd/dnsd.h"

static char *said; /* its mistakes */

/* Reads it as /etc/dnsd.conf into `conf`; returns the number of mistakes. */
static inline int conf_read(struct pool *pool, const char *text)
{
	size_t n;
	free(said);
	said = NULL;
	FILE *f = open_memstream(&said, &n);
	if (!f)
		abort();
	memset(&conf, 0, sizeof(conf));
	int mistakes = conf_parse(pool, "/etc/dnsd.conf", text, strlen(text), conf_table, &conf,
				  conf_verify, f);
	fclose(f);
	return mistakes;
}

static inline int free_said(void **state)
{
	(void)state;
	free(said);
	said = NULL;
	return 0;
}
#endif
