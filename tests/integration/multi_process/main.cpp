// The test program, and the workers that it starts: itself with other arguments.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <string>

#include "worker.hpp"

int main(int argc, char** argv) {
    if (argc == 9 && std::string(argv[1]) == "--worker") {
        ::prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (std::to_string(::getppid()) != argv[2]) {
            return 1;  // the test has ended meanwhile
        }
        try {
            // At once: commands that were under way when the runtime ended are not worth a leak report.
            std::_Exit(levee::tests::work({.part = argv[3],
                                           .memory = std::stoi(argv[4]),
                                           .slot = static_cast<unsigned>(std::stoul(argv[5])),
                                           .redis_port = static_cast<unsigned>(std::stoul(argv[6])),
                                           .bus_port = static_cast<unsigned>(std::stoul(argv[7])),
                                           .folder = argv[8]}));
        } catch (const std::exception& e) {
            std::fprintf(stderr, "worker: %s\n", e.what());
            return 2;
        }
    }
    ::testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
