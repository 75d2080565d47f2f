/* A stand-in for the EtherSpaceLink library: the symbols that egse.spw.esl uses, and what a test needs to play the
 * interface: queues of what is to be received and of what was sent. One connection, one thread. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct item { int terminator; int error; size_t size; unsigned char *data; };
struct queue { struct item items[256]; int first, stop; };
static struct queue incoming, outgoing;
static int opened, last_error, link_number, speed, mode, reports, rx_timeout, timeout_action, fail_code;
static char address[256], fail_function[64];

static int failing(const char *name) {
    if (strcmp(name, fail_function)) return 0;
    last_error = fail_code;
    return 1;
}
static void push(struct queue *queue, int terminator, int error, const void *data, size_t size) {
    struct item *item = &queue->items[queue->stop++ % 256];
    item->terminator = terminator; item->error = error; item->size = size;
    item->data = malloc(size + 1);
    memcpy(item->data, data, size);
}

/* what a test calls */
void standin_reset(void) {
    memset(&incoming, 0, sizeof incoming); memset(&outgoing, 0, sizeof outgoing);
    opened = last_error = link_number = speed = mode = reports = rx_timeout = timeout_action = fail_code = 0;
    fail_function[0] = address[0] = 0;
}
void standin_receive(int terminator, const char *data, size_t size) { push(&incoming, terminator, 0, data, size); }
void standin_receive_error(int error) { push(&incoming, 0, error, "", 0); }
void standin_fail(const char *function, int code) {
    snprintf(fail_function, sizeof fail_function, "%s", function); fail_code = code;
}
int standin_sent(int *terminator, char *data, size_t size) {
    struct item *item;
    if (outgoing.first == outgoing.stop) return -1;
    item = &outgoing.items[outgoing.first++ % 256];
    *terminator = item->terminator;
    memcpy(data, item->data, item->size < size ? item->size : size);
    return (int)item->size;
}
int standin_get(const char *name) {
    if (!strcmp(name, "opened")) return opened;
    if (!strcmp(name, "link")) return link_number;
    if (!strcmp(name, "speed")) return speed;
    if (!strcmp(name, "mode")) return mode;
    if (!strcmp(name, "reports")) return reports;
    return -1;
}
const char *standin_address(void) { return address; }

/* What a process that a test cannot reach receives: records in a file, terminator and size as 32-bit integers, then the data. */
static void play_back(const char *path) {
    int32_t head[2];
    char data[65536];
    FILE *file = path ? fopen(path, "rb") : NULL;
    while (file && fread(head, sizeof head, 1, file) == 1 && fread(data, 1, head[1], file) == (size_t)head[1])
        push(&incoming, head[0], 0, data, head[1]);
    if (file) fclose(file);
}

/* the library */
const char *EtherSpaceLink_get_version(void) { return "stand-in"; }
void *EtherSpaceLink_open(const char *where) {
    if (failing("open")) return NULL;
    snprintf(address, sizeof address, "%s", where);
    if (!opened++) play_back(getenv("ESL_STANDIN_PLAYBACK"));
    return &opened;
}
void EtherSpaceLink_close(void *esl) { (void)esl; opened--; }
int EtherSpaceLink_flush(void *esl) { (void)esl; return failing("flush"); }
int EtherSpaceLink_link_connected(void *esl) { (void)esl; return mode == 2; }
int EtherSpaceLink_set_active_link(void *esl, int number) {
    (void)esl; link_number = number; return failing("set_active_link");
}
int EtherSpaceLink_set_speed(void *esl, int value) { (void)esl; speed = value; return failing("set_speed"); }
int EtherSpaceLink_set_mode(void *esl, int value) { (void)esl; mode = value; return failing("set_mode"); }
int EtherSpaceLink_ER_enable_reporting(void *esl, int value) { (void)esl; reports = value; return 0; }
void EtherSpaceLink_set_rx_timeout(void *esl, int value) { (void)esl; rx_timeout = value; }
void EtherSpaceLink_set_rx_timeout_action(void *esl, int value) { (void)esl; timeout_action = value; }
int EtherSpaceLink_get_receive_speed(void *esl) { (void)esl; return failing("get_receive_speed") ? -1 : speed; }
int EtherSpaceLink_get_error(void *esl) { (void)esl; return last_error; }
int EtherSpaceLink_get_number_of_links(void *esl) { (void)esl; return 2; }
const char *EtherSpaceLink_get_manufacturer_string(void *esl) { (void)esl; return "Stand"; }
const char *EtherSpaceLink_get_product_string(void *esl) { (void)esl; return "in"; }
int EtherSpaceLink_send_timecode(void *esl, uint8_t timecode) {
    (void)esl; push(&outgoing, 1005, 0, &timecode, 1); return failing("send_timecode");
}
int EtherSpaceLink_write_packet(void *esl, const void *data, size_t size, uint32_t terminator) {
    (void)esl;
    if (failing("write_packet")) return -1;
    push(&outgoing, (int)terminator, 0, data, size);
    return 0;
}
int EtherSpaceLink_read_packet_full(void *esl, void *buffer, int size, int *terminator, int flags) {
    struct item *item;
    (void)esl;
    if (mode != 2 || flags != 0x22 || incoming.first == incoming.stop) {
        if (timeout_action) usleep(1000 * (rx_timeout < 5 ? rx_timeout : 5));
        last_error = 10;
        return -1;
    }
    item = &incoming.items[incoming.first++ % 256];
    if (item->error || (int)item->size > size) {
        last_error = item->error ? item->error : 999;
        return -1;
    }
    *terminator = item->terminator;
    memcpy(buffer, item->data, item->size);
    return (int)item->size;
}
