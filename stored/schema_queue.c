/* The schema of the queue, version by version. */
#include "stored/sql.h"

static const char *const versions[] = {
    "CREATE TABLE queue_nothing (id BIGINT PRIMARY KEY);",
};
const struct schema schema_queue = {"queue", versions, sizeof(versions) / sizeof(versions[0])};
