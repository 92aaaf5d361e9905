/* A load generator for EPMDs: N clients ask for one name, each over a new connection for every request as Erlang's nodes do,
   for some seconds. Usage: epmd-load PORT CLIENTS SECONDS NAME. Prints requests a second and the 99th percentile of their
   times in microseconds, from connect() to the end of the connection. Written in C, with one thread and epoll, so that it costs
   about what a server does at the least. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CLIENTS_MAX 1000
#define SAMPLES_MAX 2000000
#define PORT_PLEASE2 'z'
#define PORT2_RESP 'w'
#define STUCK_MS 5000

static struct sockaddr_in address;
static unsigned char request[2 + 1 + 255];
static size_t request_length;
static int queue;
static int sockets[CLIENTS_MAX];
static double began[CLIENTS_MAX];
static int answered[CLIENTS_MAX];
static float samples[SAMPLES_MAX];

static double now_us(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static void fail(const char *what) {
  fprintf(stderr, "epmd-load: %s: %s\n", what, strerror(errno));
  exit(1);
}

static void start(int client) {
  began[client] = now_us();
  answered[client] = 0;
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) fail("socket");
  if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) fail("connect");
  if (send(fd, request, request_length, MSG_NOSIGNAL) != (ssize_t)request_length) fail("send");
  struct epoll_event event = {.events = EPOLLIN, .data.u32 = client};
  if (epoll_ctl(queue, EPOLL_CTL_ADD, fd, &event) < 0) fail("epoll_ctl");
  sockets[client] = fd;
}

/* Whether the connection is over. */
static int finish(int client) {
  unsigned char answer[512];
  ssize_t length = recv(sockets[client], answer, sizeof answer, 0);
  if (length < 0 && errno == EAGAIN) return 0;
  if (length < 0) fail("recv");
  if (length > 0) {
    answered[client] = length >= 2 && answer[0] == PORT2_RESP && answer[1] == 0;
    return 0;
  }
  if (!answered[client]) {
    fprintf(stderr, "epmd-load: a connection ended without the port\n");
    exit(1);
  }
  close(sockets[client]);
  return 1;
}

static int ascending(const void *one, const void *other) {
  float a = *(const float *)one, b = *(const float *)other;
  return (a > b) - (a < b);
}

int main(int count, char **arguments) {
  if (count != 5) return 2;
  int clients = atoi(arguments[2]);
  double seconds = atof(arguments[3]);
  size_t name_length = strlen(arguments[4]);
  if (clients < 1 || clients > CLIENTS_MAX || name_length > 255) return 2;
  address.sin_family = AF_INET;
  address.sin_port = htons(atoi(arguments[1]));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  request[1] = name_length + 1;
  request[2] = PORT_PLEASE2;
  memcpy(request + 3, arguments[4], name_length);
  request_length = 3 + name_length;
  queue = epoll_create1(EPOLL_CLOEXEC);

  long done = 0;
  int open = clients;
  double from = now_us(), until = from + seconds * 1e6;
  for (int client = 0; client < clients; client++) start(client);
  while (open > 0) {
    struct epoll_event events[64];
    int ready = epoll_wait(queue, events, 64, STUCK_MS);
    if (ready == 0) errno = ETIMEDOUT;
    if (ready <= 0) fail("epoll_wait");
    for (int at = 0; at < ready; at++) {
      int client = events[at].data.u32;
      if (!finish(client)) continue;
      double time = now_us();
      if (done < SAMPLES_MAX) samples[done] = time - began[client];
      done++;
      if (time < until) start(client);
      else open--;
    }
  }
  double elapsed = now_us() - from;
  long kept = done < SAMPLES_MAX ? done : SAMPLES_MAX;
  qsort(samples, kept, sizeof samples[0], ascending);
  printf("%.0f %.1f\n", done / elapsed * 1e6, samples[kept * 99 / 100]);
  return 0;
}
