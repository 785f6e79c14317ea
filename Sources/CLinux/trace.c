#define _GNU_SOURCE
#include "CLinux.h"

#include <elf.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>

#ifdef __x86_64__
#include <sys/user.h>
#endif

int apus_trace_seize(int32_t pid, int stop_at_exit) {
    return (int)ptrace(PTRACE_SEIZE, pid, NULL, stop_at_exit ? (void *)(unsigned long)PTRACE_O_TRACEEXIT : NULL);
}
int apus_trace_interrupt(int32_t pid) { return (int)ptrace(PTRACE_INTERRUPT, pid, NULL, NULL); }
int apus_trace_continue(int32_t pid, int signal) {
    return (int)ptrace(PTRACE_CONT, pid, NULL, (void *)(unsigned long)signal);
}
int apus_trace_listen(int32_t pid) { return (int)ptrace(PTRACE_LISTEN, pid, NULL, NULL); }
int apus_trace_detach(int32_t pid) { return (int)ptrace(PTRACE_DETACH, pid, NULL, NULL); }

int apus_trace_wait(int32_t pid, int milliseconds, int *signal) {
    siginfo_t info;
    for (int waited = 0;; waited++) {
        // An end is left to whoever waits for the process; a stop is ours.
        memset(&info, 0, sizeof info);
        int hang = milliseconds < 0 ? 0 : WNOHANG;
        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WSTOPPED | WNOWAIT | __WALL | hang) < 0) {
            if (errno == EINTR) continue;
            return APUS_TRACE_ENDED;
        }
        if (info.si_pid == 0) {
            if (waited >= milliseconds) return APUS_TRACE_ENDED;
            poll(NULL, 0, 1);
            continue;
        }
        if (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) return APUS_TRACE_ENDED;
        int status = 0;
        if (waitpid(pid, &status, __WALL | WNOHANG) != pid) continue;
        if (!WIFSTOPPED(status)) return APUS_TRACE_ENDED;
        *signal = WSTOPSIG(status);
        int event = status >> 16;
        if (event == PTRACE_EVENT_EXIT) return APUS_TRACE_ENDING;
        if (event == PTRACE_EVENT_STOP)
            return *signal == SIGSTOP || *signal == SIGTSTP || *signal == SIGTTIN || *signal == SIGTTOU
                       ? APUS_TRACE_GROUP_STOP
                       : APUS_TRACE_STOPPED;
        return event ? APUS_TRACE_STOPPED : APUS_TRACE_SIGNAL;
    }
}

void apus_trace_reap(int32_t pid) {
    int status;
    (void)waitpid(pid, &status, __WALL | WNOHANG);
}

int apus_trace_signal_mask(int32_t pid, uint64_t *mask, int set) {
    // PTRACE_GETSIGMASK and PTRACE_SETSIGMASK
    return (int)ptrace((enum __ptrace_request)(set ? 0x420b : 0x420a), pid, (void *)sizeof *mask, mask);
}

int apus_trace_registers(int32_t pid, int extended, void *registers, size_t size, int set) {
    struct iovec room = {registers, size};
    unsigned long kind = extended ? 0x202 /* NT_X86_XSTATE */ : NT_PRSTATUS;
    if (ptrace(set ? PTRACE_SETREGSET : PTRACE_GETREGSET, pid, (void *)kind, &room) < 0) return -1;
    return (int)room.iov_len;
}

int apus_trace_clear_breakpoints(int32_t pid) {
#ifdef __x86_64__
    unsigned long control = offsetof(struct user, u_debugreg) + 7 * sizeof(long);
    return (int)ptrace(PTRACE_POKEUSER, pid, (void *)control, NULL);
#else
    (void)pid;
    return 0;
#endif
}
