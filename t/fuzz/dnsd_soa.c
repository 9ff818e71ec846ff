/* What may come when a primary is asked for a serial: it is found in an answer to the question, or
 * a reason is told. */
#include <stdlib.h>
#include "dnsd/secondary/secondary.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t zone[] = "\1b\4test";
	struct zone_soa soa = {0};
	char why[80] = "";
	uint8_t *pkt = malloc(len + 1); /* as long as it is, so that nobody reads on */
	if (!pkt)
		return 0;
	memcpy(pkt, data, len);
	enum soa_verdict v = soa_answer(pkt, len, 0x6162, zone, &soa, why);
	if ((v == SOA_NONE) != (why[0] != '\0'))
		abort();
	free(pkt);
	return 0;
}
