/* Bodies: small ones in rows, larger ones in segment files. */
#include "stored/body.h"
#include <stdlib.h>
#include "libcommon/base/mem.h"
#include "stored/sql.h"

static const char *const versions[] = {
    "CREATE TABLE bodies ("
    " id BIGINT PRIMARY KEY,"
    " size BIGINT NOT NULL,"
    " refs BIGINT NOT NULL CHECK (refs >= 0),"
    " crc BIGINT NOT NULL,"
    " segment BIGINT NOT NULL," /* 0: in data */
    " place BIGINT NOT NULL,"   /* of its record in the segment */
    " data BYTEA);"
    "CREATE INDEX bodies_segment ON bodies (segment, place) WHERE segment > 0;",
};
const struct schema schema_body = {"body", versions, sizeof(versions) / sizeof(versions[0])};

struct bodies {
	char *dir;
	uint64_t next; /* id of the next body; the writer's */
};

struct bodies *bodies_open(struct base *writer, const char *dir, const char **why)
{
	(void)writer, (void)why;
	struct bodies *s = mem_alloc(sizeof(*s));
	s->dir = mem_strdup(dir);
	return s;
}

void bodies_close(struct bodies **bodies)
{
	if (*bodies)
		free((*bodies)->dir);
	free(*bodies);
	*bodies = NULL;
}
